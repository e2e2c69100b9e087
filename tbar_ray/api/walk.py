"""A path of α on validation images, and the α that was selected."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from tbar_ray.errors import ScientificError
from tbar_ray.evaluation.rates import Rate
from tbar_ray.evaluation.scores import Scores
from tbar_ray.evaluation.selection import Preference
from tbar_ray.models.statistics_choice import StatisticsChoice
from tbar_ray.unlearning.alpha_walk import Walked
from tbar_ray.unlearning.edit_scores import EditScores

NAMES = frozenset(part.name for part in fields(Scores))
APPLIED: StatisticsChoice = "as_applied"


@dataclass(frozen=True)
class Walk:
    """Validation scores along α.

    Attributes:
        scores: by α, of every α that was scored in full.
        selected: the selected α; None if none keeps enough CA.
        reference_ca: CA of the infected model.
        min_retention: share of it that had to be kept.
        max_asr: ASR at which the backdoor counted as removed; None: the least ASR was best.
        prefer: which of the α that removed it was selected.
        statistics: the running statistics (BatchNorm) of the scored models; None for a model without them.
        as_applied: where they were re-estimated: the scores by α with those that the edit leaves. ASR that is low here
            and high in `scores` is a backdoor that is masked, not removed.
    """

    scores: dict[float, Scores]
    selected: float | None
    reference_ca: float
    min_retention: float
    max_asr: float | None
    prefer: Preference = "accuracy"
    statistics: StatisticsChoice | None = None
    as_applied: dict[float, Scores] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        walked: Walked,
        scores: EditScores,
        min_retention: float,
        max_asr: float | None,
        prefer: Preference = "accuracy",
    ) -> Walk:
        """The walk that `walk_alpha` made, with the limits that α was selected under."""
        by_alpha = {entry["alpha"]: _scores(entry) for entry in scores.path}
        chosen = None if walked.chosen is None else walked.chosen.alpha
        applied = {entry["alpha"]: _scores(entry[APPLIED]) for entry in scores.path if APPLIED in entry}
        return cls(by_alpha, chosen, scores.reference_ca, min_retention, max_asr, prefer, scores.statistics, applied)

    @property
    def alpha(self) -> float:
        """The selected α.

        Raises:
            ScientificError: if no α keeps enough CA.
        """
        if self.selected is None:
            raise ScientificError(
                f"no α of {_listed(list(self.scores))} keeps {self.min_retention:.0%} of the infected model's CA "
                f"({self.reference_ca:.1%}); try smaller ones, or lower min_retention"
            )
        return self.selected

    def to_dict(self) -> dict[str, Any]:
        """The walk for JSON: the path with every rate, the selected α, and the limits that it was selected under."""
        return {
            "path": [
                {"alpha": alpha, **scores.to_dict()}
                | ({APPLIED: self.as_applied[alpha].to_dict()} if alpha in self.as_applied else {})
                for alpha, scores in self.scores.items()
            ],
            "statistics": self.statistics,
            "selected": self.selected,
            "reference_ca": self.reference_ca,
            "min_retention": self.min_retention,
            "max_asr": self.max_asr,
            "prefer": self.prefer,
        }

    def __str__(self) -> str:
        """A table of α, CA, ASR, PA and, where it was measured, ASR as applied; the selected α is marked."""
        lines = [f"{'α':>8}{'CA':>9}{'ASR':>9}{'PA':>9}{'ASR as applied' if self.as_applied else '':>16}".rstrip()]
        for alpha, scores in self.scores.items():
            mark = "  ← selected" if alpha == self.selected else ""
            applied = f"{self.as_applied[alpha].asr.value:>16.1%}" if alpha in self.as_applied else ""
            row = f"{alpha:>8g}{scores.ca.value:>9.1%}{scores.asr.value:>9.1%}{scores.pa.value:>9.1%}"
            lines.append(f"{row}{applied}{mark}")
        if self.selected is None:
            lines.append(f"no α keeps {self.min_retention:.0%} of the infected model's CA ({self.reference_ca:.1%})")
        return "\n".join(lines)


def _scores(entry: dict[str, Any]) -> Scores:
    return Scores(**{name: Rate(**rate) for name, rate in entry.items() if name in NAMES})


def _listed(alphas: Sequence[float]) -> str:
    return ", ".join(f"{alpha:g}" for alpha in alphas)
