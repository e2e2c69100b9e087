"""A linear classifier on the image features."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from tbar_ray.evaluation.zeroshot import answering, images_at_once, normalise
from tbar_ray.lasting.change import Change, Material

DECAY = 1e-3
ITERATIONS = 200
SCALE = 20.0
"""Of the logits, so that unit features and unit rows can be certain."""


class LinearProbe(Change):
    """Logistic regression on features of clean labelled images, in place of the zero-shot head.

    The text tower has no part in the answers any more: what is left of the backdoor is in the image features.
    """

    name: ClassVar[str] = "linear-probe"

    def apply(self, model: nn.Module, material: Material) -> Tensor:
        """Fit the classifier, [C, D]; the model stays as it is."""
        features, labels = _features(model, material), material.labelled.labels
        rows = torch.zeros(material.classes, features.shape[1], requires_grad=True)
        optimizer = torch.optim.LBFGS([rows], max_iter=ITERATIONS, line_search_fn="strong_wolfe")

        def loss() -> Tensor:
            optimizer.zero_grad()
            value = functional.cross_entropy(SCALE * features @ rows.T, labels) + DECAY * rows.square().sum()
            value.backward()  # type: ignore[no-untyped-call]
            return value

        optimizer.step(loss)  # type: ignore[no-untyped-call]
        return rows.detach().to(next(model.parameters()).device)


@torch.no_grad()
def _features(model: nn.Module, material: Material) -> Tensor:
    """Unit features, float [N, D] on the CPU, of the clean labelled images."""
    device, images = next(model.parameters()).device, material.labelled.clean
    with answering(model):
        found = [
            model.encode_image(normalise(batch.to(device), material.preprocessing), normalize=True).cpu()  # type: ignore[operator]
            for batch in torch.split(images, images_at_once(device))
        ]
    return torch.cat(found)
