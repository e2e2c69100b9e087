"""The weight disentanglement error ξ from predicted classes, and maps of it over (α_c, α_t).

`evaluation.disentanglement_error` computes the predictions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tbar_ray.errors import DataError

Answers = NDArray[np.int64]
Shares = NDArray[np.float64]

NO_ANSWER = -1
"""Replaces the class if logits are not finite: a large α can move a BatchNorm variance below 0."""


@dataclass(frozen=True)
class Terms:
    """Both terms of ξ at one (α_c, α_t), shares in [0, 1], over n_c clean and n_t triggered images.

    A term is NaN if a model gave non-finite logits for an image: a missing prediction neither agrees nor disagrees.
    """

    clean: float
    triggered: float
    n_c: int
    n_t: int

    @property
    def total(self) -> float:
        """The error ξ, in [0, 2]."""
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
        """Build a map from separately computed cells: `rows[i][j]` belongs to (alphas_c[i], alphas_t[j])."""
        clean, triggered = (
            np.array([[getattr(cell, term) for cell in row] for row in rows], dtype=np.float64)
            for term in ("clean", "triggered")
        )
        return cls(tuple(alphas_c), tuple(alphas_t), clean, triggered)

    @property
    def total(self) -> Shares:
        """The error ξ [n_c, n_t], in [0, 2]; NaN where a term is NaN."""
        return self.clean_term + self.triggered_term

    def at(self, alpha_c: float, alpha_t: float, method: Literal["linear", "nearest"] = "linear") -> float:
        """Interpolate ξ at a point of the grid's rectangle: bilinearly, or from the nearest cell.

        Raises:
            DataError: if the point lies outside the grid.
        """
        weights = [
            _weights(self.alphas_c, alpha_c, method, "α_c"),
            _weights(self.alphas_t, alpha_t, method, "α_t"),
        ]
        joint = np.outer(*weights)
        # NaN of a cell with zero weight must not propagate.
        return float((joint[joint > 0] * self.total[joint > 0]).sum())

    def to_dict(self) -> dict[str, Any]:
        """All fields as plain lists for JSON; None replaces NaN."""
        return {
            "alphas_c": list(self.alphas_c),
            "alphas_t": list(self.alphas_t),
            "clean_term": [[None if np.isnan(v) else float(v) for v in row] for row in self.clean_term],
            "triggered_term": [[None if np.isnan(v) else float(v) for v in row] for row in self.triggered_term],
        }

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> DisentanglementMap:
        """Rebuild a map from the output of `to_dict`."""
        clean, triggered = (np.array(content[key], dtype=np.float64) for key in ("clean_term", "triggered_term"))
        return cls(tuple(content["alphas_c"]), tuple(content["alphas_t"]), clean, triggered)


def _weights(alphas: Sequence[float], alpha: float, method: Literal["linear", "nearest"], name: str) -> Shares:
    """Interpolation weight of every grid coefficient at `alpha`: two that sum to 1, or one."""
    if not alphas[0] <= alpha <= alphas[-1]:
        raise DataError(f"disentanglement map: {name} = {alpha:g} lies outside [{alphas[0]:g}, {alphas[-1]:g}]")
    if method == "nearest":
        alpha = min(alphas, key=lambda node: abs(node - alpha))
    return np.array([np.interp(alpha, alphas, column) for column in np.eye(len(alphas))])


def xi(reference_c: Answers, joint_c: Answers, reference_t: Answers, joint_t: Answers) -> tuple[Shares, Shares]:
    """The clean and the triggered term, each [n_c, n_t], from predicted classes.

    Args:
        reference_c: [n_c, N_c], predictions of θ0 + α_c·τ_c on D_c.
        joint_c: [n_c, n_t, N_c], predictions of the joint models on D_c.
        reference_t: [n_t, N_t], predictions of θ0 + α_t·τ_t on D_t.
        joint_t: [n_c, n_t, N_t], predictions of the joint models on D_t.
    """
    return disagreement(reference_c[:, None], joint_c), disagreement(reference_t[None, :], joint_t)


def disagreement(reference: Answers, joint: Answers) -> Shares:
    """Share of the last axis on which predictions differ; NaN where any is NO_ANSWER."""
    unanswered = ((reference == NO_ANSWER) | (joint == NO_ANSWER)).any(-1)
    return np.where(unanswered, np.nan, np.not_equal(reference, joint).mean(-1, dtype=np.float64))
