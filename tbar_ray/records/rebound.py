"""Rebound as it is recorded: scores along clean fine-tuning, of the cleaned model and those it is compared with."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from tbar_ray.records.part import Part
from tbar_ray.records.scores import ScoresRecord

if TYPE_CHECKING:
    from tbar_ray.evaluation.rebound import ReboundFigures

SUMMARY = (
    *(f"rebound_{name}" for name in ("start", "highest", "rise", "area", "revival", "eligible")),
    "rebound_ca_change", "rebound_highest_infected", "rebound_highest_clean", "rebound_ca_change_clean",
)  # fmt: skip
"""Columns of a trial's figures of merit, of its CA, and of the models that it is compared with."""


class ReboundPoint(Part):
    """Test scores after some steps of fine-tuning."""

    step: int
    scores: ScoresRecord


class ReboundCurve(Part):
    """Test scores of one model along its fine-tuning.

    Attributes:
        points: by rising steps, from 0, the model as it was.
        reestimated: at step 0′, running statistics re-estimated and nothing trained; None for a model without such.
    """

    points: tuple[ReboundPoint, ...]
    reestimated: ScoresRecord | None = None

    @cached_property
    def figures(self) -> ReboundFigures:
        """The figures of merit (`evaluation.rebound`)."""
        from tbar_ray.evaluation.rebound import ReboundFigures

        curve = [(point.step, _known(point.scores, "asr")) for point in self.points]
        return ReboundFigures.of(curve, None if self.reestimated is None else _known(self.reestimated, "asr"))

    @property
    def ca_change(self) -> float:
        """CA after the last step less that before the first, in [−1, 1]."""
        first, last = self.points[0], self.points[-1]
        return _known(last.scores, "ca") - _known(first.scores, "ca")


class ReboundRecord(Part):
    """Rebound at one learning rate.

    Attributes:
        learning_rate: of the fine-tuning.
        pairs: clean pairs that the cleaned model was fine-tuned on; None where there is no cleaned model.
        removed: of the model after removal; None where no α was selected.
        infected: of the infected model.
        clean: of the clean model; None where there is none.
    """

    learning_rate: float
    pairs: int | None = None
    removed: ReboundCurve | None = None
    infected: ReboundCurve
    clean: ReboundCurve | None = None

    @property
    def steps(self) -> tuple[int, ...]:
        """The steps that were scored, of every model."""
        return tuple(point.step for point in self.infected.points)

    def summary(self) -> dict[str, float | int | bool | None]:
        """Figures of merit by the name of their column, also of what they are compared with; None where unknown."""
        found: dict[str, float | int | bool | None] = {
            **dict.fromkeys(SUMMARY),
            "rebound_highest_infected": self.infected.figures.highest,
        }
        if (removed := self.removed) is not None:
            found |= {f"rebound_{name}": value for name, value in removed.figures.to_dict().items()}
            found |= {"rebound_ca_change": removed.ca_change}
        if (clean := self.clean) is not None:
            found |= {"rebound_highest_clean": clean.figures.highest, "rebound_ca_change_clean": clean.ca_change}
        return found


def _known(scores: ScoresRecord, metric: str) -> float:
    value = scores.rate(metric).value
    assert value is not None
    return value
