"""TBAR with a trigger vector learned in the tangent space (2305.12827)."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel

from tbar_ray.evaluation.zeroshot import normalise
from tbar_ray.training.batch import Batch
from tbar_ray.training.objectives import Objective, image_parameters
from tbar_ray.unlearning.base import Infected
from tbar_ray.unlearning.methods.tbar import TBAR


class TangentTBAR(TBAR):
    """θ_b − α·τ, where τ is learned by the linearised model f_lin(x; θ) = f(x; θ_b) + J(x; θ_b)·(θ − θ_b).

    2305.12827 finds that linearised task vectors are better disentangled. It also applies them in the linearised model,
    at two to three times the inference cost. Here they are applied to the ordinary model (the reverse of the paper's
    'post-hoc' variant), so the result is a standard CLIP model.
    """

    name: ClassVar[str] = "tbar-tangent"

    objective: Literal["classification"] = Field(
        default="classification", description="loss: cross-entropy against the frozen head; this method has no other"
    )
    freeze_batch_norm: Literal[True] = Field(
        default=True, description="BatchNorm statistics stay fixed: batch statistics have no forward-mode derivative"
    )

    def objective_on(self, infected: Infected) -> Objective:
        """Cross-entropy of the linearised model against the frozen head."""
        super().objective_on(infected)  # checks the labels
        return _Linearised(infected)


class _Linearised(Objective):
    def __init__(self, infected: Infected) -> None:
        super().__init__(infected.model, infected.preprocessing)
        self._head = infected.classes.head
        self._scale = infected.model.logit_scale.detach().exp().clone()  # type: ignore[operator]
        self._start = {name: p.detach().clone() for name, p in self.named_parameters().items()}

    def named_parameters(self) -> dict[str, nn.Parameter]:
        """Parameters of the image encoder, by name."""
        return image_parameters(self.model)

    def embeddings(self, images: Tensor) -> Tensor:
        """f_lin of uint8 images: embeddings [B, D], not normalised."""
        pixels = normalise(images, self.preprocessing)
        visual = self.model.visual

        def encode(weights: dict[str, Tensor]) -> Tensor:
            found: Tensor = torch.func.functional_call(visual, weights, (pixels,))  # type: ignore[arg-type]
            return found

        bare = {name.removeprefix("visual."): value for name, value in self._start.items()}
        moved = {
            name.removeprefix("visual."): value - self._start[name] for name, value in self.named_parameters().items()
        }
        at_start, change = torch.func.jvp(encode, (bare,), (moved,))  # type: ignore[misc]
        embeddings: Tensor = at_start + change
        return embeddings

    def loss(self, batch: Batch) -> Tensor:
        """Cross-entropy to the batch's labels."""
        assert batch.labels is not None
        # Fused attention has no forward-mode derivative.
        with sdpa_kernel(SDPBackend.MATH):
            embeddings = self.embeddings(batch.images)
        features = functional.normalize(embeddings, dim=-1)
        return functional.cross_entropy(self._scale * features @ self._head.T, batch.labels)
