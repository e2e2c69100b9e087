"""Weight disentanglement of a clean and a trigger task vector (Ortiz-Jimenez et al., 2305.12827; 2510.14845).

    ξ(α_c, α_t) = Σ_{i∈{c,t}} E_{x∈D_i} 1[argmax f(x; θ0 + α_i·τ_i) ≠ argmax f(x; θ0 + α_c·τ_c + α_t·τ_t)]

D_c are clean images and D_t triggered ones. The clean term is 0 where α_t = 0 and the triggered term where
α_c = 0, since the joint and the single model coincide there. A map of n × n cells needs 2n evaluations of single
models and two per cell; each cell is computed by a separate function call, so cells can be distributed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from tbar_ray.errors import DataError
from tbar_ray.evaluation.disentanglement_map import NO_ANSWER, Answers, DisentanglementMap, Terms, disagreement
from tbar_ray.evaluation.normalised_images import NormalisedImages
from tbar_ray.evaluation.zeroshot import answering
from tbar_ray.models.in_place import InPlacePair
from tbar_ray.models.statistics import estimate_statistics, has_statistics, with_statistics

Head = Tensor | Callable[[nn.Module], Tensor]
"""Class embeddings [C, D], or, if a vector moves the text tower, a function that computes them from the model."""


@torch.inference_mode()
def _answers(model: nn.Module, head: Tensor, images: NormalisedImages) -> Answers:
    """Predicted class [N] of every image, or NO_ANSWER; synchronises with the device once, at the end."""
    found = []
    with answering(model):
        for batch in images:
            logits = model.encode_image(batch, normalize=True) @ head.T  # type: ignore[operator]
            found.append(logits.argmax(-1).where(logits.isfinite().all(-1), NO_ANSWER))
    answers: Answers = torch.cat(found).cpu().numpy()
    return answers


def _head(pair: InPlacePair, head: Head) -> Tensor:
    """Class embeddings for the pair's model at its current weights."""
    if isinstance(head, Tensor):
        if pair.moves_text:
            raise DataError(
                "disentanglement: a task vector moves the text tower, so one head does not fit all "
                "coefficients; pass a function that computes the head from the model"
            )
        return head
    return head(pair.model)


@contextmanager
def _moved(pair: InPlacePair, first: float, second: float, clean: Iterable[Tensor] | None) -> Iterator[nn.Module]:
    """Move the pair; give the moved weights running statistics of their own, where there are images for it."""
    with pair.moved(first, second) as model:
        if clean is None or not (first or second) or not has_statistics(model):
            yield model
            return
        with with_statistics(model, estimate_statistics(model, clean)):
            yield model


def reference_predictions(
    pair: InPlacePair,
    which: Literal["clean", "triggered"],
    alphas: Sequence[float],
    images: NormalisedImages,
    head: Head,
    clean: Iterable[Tensor] | None = None,
) -> Answers:
    """Classes [n, N] predicted by single-vector models θ0 + α·τ on that vector's images.

    Args:
        pair: θ0 with τ_c as its first and τ_t as its second vector.
        which: "clean" moves along τ_c (images are D_c), "triggered" along τ_t (images are D_t).
        alphas: n coefficients; one evaluation each.
        images: the N images.
        head: class embeddings on the model's device.
        clean: batches of clean images (`statistics_batches`) on which running statistics are re-estimated at every
            coefficient but 0; None keeps those that the vector leaves.

    Raises:
        DataError: if the head is fixed although a vector moves the text tower.
    """
    rows = []
    for alpha in alphas:
        with _moved(pair, *((alpha, 0.0) if which == "clean" else (0.0, alpha)), clean) as model:
            rows.append(_answers(model, _head(pair, head), images))
    return np.stack(rows) if rows else np.empty((0, len(images)), dtype=np.int64)


def joint_errors(
    pair: InPlacePair,
    alpha_c: float,
    alpha_t: float,
    reference_c: Answers,
    reference_t: Answers,
    images_c: NormalisedImages,
    images_t: NormalisedImages,
    head: Head,
    clean: Iterable[Tensor] | None = None,
) -> Terms:
    """Both terms of ξ at one cell, from two evaluations of θ0 + α_c·τ_c + α_t·τ_t.

    Args:
        pair: θ0 with τ_c as its first and τ_t as its second vector.
        alpha_c: coefficient of τ_c.
        alpha_t: coefficient of τ_t.
        reference_c: [N_c], the row of `reference_predictions` at alpha_c.
        reference_t: [N_t], the row at alpha_t.
        images_c: D_c.
        images_t: D_t.
        head: as for the references.
        clean: as for the references.

    Raises:
        DataError: if references and images differ in number, or as `reference_predictions`.
    """
    for name, reference, images in (("clean", reference_c, images_c), ("triggered", reference_t, images_t)):
        if reference.shape != (len(images),):
            raise DataError(f"disentanglement: {len(images)} {name} images but references {reference.shape}")
    with _moved(pair, alpha_c, alpha_t, clean) as model:
        own = _head(pair, head)
        joint_c, joint_t = _answers(model, own, images_c), _answers(model, own, images_t)
    terms = disagreement(reference_c, joint_c), disagreement(reference_t, joint_t)
    return Terms(float(terms[0]), float(terms[1]), len(images_c), len(images_t))


def disentanglement_map(
    pair: InPlacePair,
    alphas_c: Sequence[float],
    alphas_t: Sequence[float],
    images_c: NormalisedImages,
    images_t: NormalisedImages,
    head: Head,
    clean: Iterable[Tensor] | None = None,
) -> DisentanglementMap:
    """Compute the whole map cell by cell; arguments as for `joint_errors`.

    The literature's grid is 25 × 25 over [−3, 3]².

    Raises:
        DataError: as `joint_errors`, or if coefficients are not ascending.
    """
    references_c = reference_predictions(pair, "clean", alphas_c, images_c, head, clean)
    references_t = reference_predictions(pair, "triggered", alphas_t, images_t, head, clean)
    rows = [
        [
            joint_errors(pair, alpha_c, alpha_t, references_c[i], references_t[j], images_c, images_t, head, clean)
            for j, alpha_t in enumerate(alphas_t)
        ]
        for i, alpha_c in enumerate(alphas_c)
    ]
    return DisentanglementMap.of_cells(alphas_c, alphas_t, rows)
