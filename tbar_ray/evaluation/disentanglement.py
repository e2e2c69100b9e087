"""Weight disentanglement of a clean and a trigger task vector (Ortiz-Jimenez et al., 2305.12827; 2510.14845).

    ξ(α_c, α_t) = Σ_{i∈{c,t}} E_{x∈D_i} 1[argmax f(x; θ0 + α_i·τ_i) ≠ argmax f(x; θ0 + α_c·τ_c + α_t·τ_t)]

D_c are clean images and D_t triggered ones. The clean term is 0 where α_t = 0 and the triggered term where
α_c = 0, since the joint model is the single one there. A map of n × n cells takes the 2n evaluations of single
models once and then two per cell; cells are functions of their own, so that they can be computed anywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tbar_ray.errors import DataError
from tbar_ray.evaluation.zeroshot import answering, images_at_once, normalise
from tbar_ray.models.factory import Preprocessing
from tbar_ray.models.task_vector import ResidentPair

Answers = NDArray[np.int64]
Shares = NDArray[np.float64]
Head = Tensor | Callable[[nn.Module], Tensor]
"""Class embeddings [C, D]; where a vector moves the text tower, a function from the moved model to them."""

NO_ANSWER = -1
"""Stands for the class where logits are not finite: far out, a BatchNorm variance can be moved below 0."""


class NormalisedImages:
    """Images as a model takes them, in float batches: made once and kept on the device, if they are small enough.

    Args:
        images: uint8 [N, 3, H, W].
        preprocessing: of the model.
        device: of the model.
        batch_size: images per forward pass; None takes as many as suit the device.
        keep_bytes: kept as float32 up to this size (1 GiB: 1,783 images of 224 px or 21,845 of 64 px), else
            normalised anew on every pass.

    Raises:
        DataError: if there are no images.
    """

    def __init__(
        self,
        images: Tensor,
        preprocessing: Preprocessing,
        device: torch.device | str,
        batch_size: int | None = None,
        keep_bytes: int = 1 << 30,
    ) -> None:
        if len(images) == 0:
            raise DataError("disentanglement: no images")
        batch_size = batch_size or images_at_once(torch.device(device))
        self._raw = [images[start : start + batch_size] for start in range(0, len(images), batch_size)]
        self._count = len(images)
        self._preprocessing, self._device = preprocessing, torch.device(device)
        self._kept = [self._normalised(batch) for batch in self._raw] if images.numel() * 4 <= keep_bytes else None

    def _normalised(self, batch: Tensor) -> Tensor:
        return normalise(batch.to(self._device), self._preprocessing)

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Tensor]:
        return iter(self._kept) if self._kept is not None else map(self._normalised, self._raw)


@dataclass(frozen=True)
class Terms:
    """Both terms of ξ at one (α_c, α_t), shares in [0, 1], over n_c clean and n_t triggered images.

    A term is NaN where a model gave an image no finite logits: what has no answer neither agrees nor differs.
    """

    clean: float
    triggered: float
    n_c: int
    n_t: int

    @property
    def total(self) -> float:
        """Return ξ, in [0, 2]."""
        return self.clean + self.triggered


@dataclass(frozen=True, eq=False)
class DisentanglementMap:
    """ξ on a grid: both terms as float64 [n_c, n_t] over strictly ascending α_c (rows) and α_t (columns)."""

    alphas_c: tuple[float, ...]
    alphas_t: tuple[float, ...]
    clean_term: Shares
    triggered_term: Shares

    def __post_init__(self) -> None:
        shape = (len(self.alphas_c), len(self.alphas_t))
        if 0 in shape or not shape == self.clean_term.shape == self.triggered_term.shape:
            raise DataError(
                f"disentanglement map: {shape[0]} × {shape[1]} coefficients, but terms of shape "
                f"{self.clean_term.shape} and {self.triggered_term.shape}"
            )
        for name, alphas in (("α_c", self.alphas_c), ("α_t", self.alphas_t)):
            if not np.isfinite(alphas).all() or not (np.diff(alphas) > 0).all():
                raise DataError(f"disentanglement map: {name} must be finite and ascending, got {list(alphas)}")

    @classmethod
    def of_cells(
        cls, alphas_c: Sequence[float], alphas_t: Sequence[float], rows: Sequence[Sequence[Terms]]
    ) -> DisentanglementMap:
        """Return the map of cells that were computed one by one: `rows[i][j]` at (alphas_c[i], alphas_t[j])."""
        clean, triggered = (
            np.array([[getattr(cell, term) for cell in row] for row in rows], dtype=np.float64)
            for term in ("clean", "triggered")
        )
        return cls(tuple(alphas_c), tuple(alphas_t), clean, triggered)

    @property
    def total(self) -> Shares:
        """Return ξ [n_c, n_t], in [0, 2]; NaN where a term is."""
        return self.clean_term + self.triggered_term

    def at(self, alpha_c: float, alpha_t: float, method: Literal["linear", "nearest"] = "linear") -> float:
        """Return ξ at a point of the grid's rectangle: bilinear between the cells, or that of the nearest one.

        Raises:
            DataError: if the point lies outside the grid.
        """
        weights = [
            _weights(self.alphas_c, alpha_c, method, "α_c"),
            _weights(self.alphas_t, alpha_t, method, "α_t"),
        ]
        joint = np.outer(*weights)
        # a NaN of a cell that has no part in the point must not reach it
        return float((joint[joint > 0] * self.total[joint > 0]).sum())

    def to_dict(self) -> dict[str, Any]:
        """Return plain lists for JSON, None standing for NaN."""
        return {
            "alphas_c": list(self.alphas_c),
            "alphas_t": list(self.alphas_t),
            "clean_term": [[None if np.isnan(v) else float(v) for v in row] for row in self.clean_term],
            "triggered_term": [[None if np.isnan(v) else float(v) for v in row] for row in self.triggered_term],
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> DisentanglementMap:
        """Return the map that `to_dict` wrote."""
        clean, triggered = (np.array(content[key], dtype=np.float64) for key in ("clean_term", "triggered_term"))
        return cls(tuple(content["alphas_c"]), tuple(content["alphas_t"]), clean, triggered)


def _weights(alphas: Sequence[float], alpha: float, method: Literal["linear", "nearest"], name: str) -> Shares:
    """Return the weight of every grid coefficient at `alpha`: two that sum to 1, or one."""
    if not alphas[0] <= alpha <= alphas[-1]:
        raise DataError(f"disentanglement map: {name} = {alpha:g} lies outside [{alphas[0]:g}, {alphas[-1]:g}]")
    if method == "nearest":
        alpha = min(alphas, key=lambda node: abs(node - alpha))
    return np.array([np.interp(alpha, alphas, column) for column in np.eye(len(alphas))])


def xi(reference_c: Answers, joint_c: Answers, reference_t: Answers, joint_t: Answers) -> tuple[Shares, Shares]:
    """Return the clean and the triggered term [n_c, n_t] from predicted classes alone.

    Args:
        reference_c: [n_c, N_c], answers of θ0 + α_c·τ_c on D_c.
        joint_c: [n_c, n_t, N_c], answers of the joint models on D_c.
        reference_t: [n_t, N_t], answers of θ0 + α_t·τ_t on D_t.
        joint_t: [n_c, n_t, N_t], answers of the joint models on D_t.
    """
    return _disagreement(reference_c[:, None], joint_c), _disagreement(reference_t[None, :], joint_t)


def _disagreement(reference: Answers, joint: Answers) -> Shares:
    """Return the share of the last axis on which answers differ, NaN where one is NO_ANSWER."""
    unanswered = ((reference == NO_ANSWER) | (joint == NO_ANSWER)).any(-1)
    return np.where(unanswered, np.nan, np.not_equal(reference, joint).mean(-1, dtype=np.float64))


@torch.inference_mode()
def _answers(model: nn.Module, head: Tensor, images: NormalisedImages) -> Answers:
    """Return the predicted class [N] of every image; the device is waited for once, at the end."""
    found = []
    with answering(model):
        for batch in images:
            logits = model.encode_image(batch, normalize=True) @ head.T  # type: ignore[operator]
            found.append(logits.argmax(-1).where(logits.isfinite().all(-1), NO_ANSWER))
    answers: Answers = torch.cat(found).cpu().numpy()
    return answers


def _head(pair: ResidentPair, head: Head) -> Tensor:
    """Return the class embeddings for the pair's model as it is moved now."""
    if isinstance(head, Tensor):
        if pair.moves_text:
            raise DataError(
                "disentanglement: a task vector moves the text tower, so that one head does not fit all "
                "coefficients; give a function of the model that makes the head"
            )
        return head
    return head(pair.model)


def reference_predictions(
    pair: ResidentPair,
    which: Literal["clean", "triggered"],
    alphas: Sequence[float],
    images: NormalisedImages,
    head: Head,
) -> Answers:
    """Return the classes [n, N] that the models of one vector alone, θ0 + α·τ, answer on its own images.

    Args:
        pair: θ0 with τ_c as its first and τ_t as its second vector.
        which: "clean" moves along τ_c (images are D_c), "triggered" along τ_t (images are D_t).
        alphas: n coefficients; one evaluation each.
        images: N of them.
        head: class embeddings on the model's device.

    Raises:
        DataError: if the head is fixed although a vector moves the text tower.
    """
    rows = []
    for alpha in alphas:
        with pair.moved(*((alpha, 0.0) if which == "clean" else (0.0, alpha))) as model:
            rows.append(_answers(model, _head(pair, head), images))
    return np.stack(rows) if rows else np.empty((0, len(images)), dtype=np.int64)


def joint_errors(
    pair: ResidentPair,
    alpha_c: float,
    alpha_t: float,
    reference_c: Answers,
    reference_t: Answers,
    images_c: NormalisedImages,
    images_t: NormalisedImages,
    head: Head,
) -> Terms:
    """Return both terms of ξ at one cell: two evaluations of θ0 + α_c·τ_c + α_t·τ_t.

    Args:
        pair: θ0 with τ_c as its first and τ_t as its second vector.
        alpha_c: coefficient of τ_c.
        alpha_t: coefficient of τ_t.
        reference_c: [N_c], the row of `reference_predictions` at alpha_c.
        reference_t: [N_t], the row at alpha_t.
        images_c: D_c.
        images_t: D_t.
        head: as for the references.

    Raises:
        DataError: if references and images differ in number, or as `reference_predictions`.
    """
    for name, reference, images in (("clean", reference_c, images_c), ("triggered", reference_t, images_t)):
        if reference.shape != (len(images),):
            raise DataError(f"disentanglement: {len(images)} {name} images but references {reference.shape}")
    with pair.moved(alpha_c, alpha_t) as model:
        own = _head(pair, head)
        joint_c, joint_t = _answers(model, own, images_c), _answers(model, own, images_t)
    clean, triggered = _disagreement(reference_c, joint_c), _disagreement(reference_t, joint_t)
    return Terms(float(clean), float(triggered), len(images_c), len(images_t))


def disentanglement_map(
    pair: ResidentPair,
    alphas_c: Sequence[float],
    alphas_t: Sequence[float],
    images_c: NormalisedImages,
    images_t: NormalisedImages,
    head: Head,
) -> DisentanglementMap:
    """Return the whole map, computed here cell by cell; arguments as those of `joint_errors`.

    The literature's grid is 25 × 25 over [−3, 3]².

    Raises:
        DataError: as `joint_errors`, or if coefficients are not ascending.
    """
    references_c = reference_predictions(pair, "clean", alphas_c, images_c, head)
    references_t = reference_predictions(pair, "triggered", alphas_t, images_t, head)
    rows = [
        [
            joint_errors(pair, alpha_c, alpha_t, references_c[i], references_t[j], images_c, images_t, head)
            for j, alpha_t in enumerate(alphas_t)
        ]
        for i, alpha_c in enumerate(alphas_c)
    ]
    return DisentanglementMap.of_cells(alphas_c, alphas_t, rows)
