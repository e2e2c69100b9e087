"""The fine-tuned models of a campaign, in the order of tables and figures, and their scores as rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from tbar_ray.records.cells import grouped, one_per_cell
from tbar_ray.records.rebound import ReboundCurve, ReboundRecord
from tbar_ray.records.record import TrialRecord
from tbar_ray.records.scores import ScoresRecord
from tbar_ray.report.fields import Row, settings_of
from tbar_ray.report.infected import is_of_model, model_of

Role = Literal["infected", "clean", "removed"]
ROLES: tuple[Role, ...] = ("infected", "clean", "removed")
NAMES = {"infected": "infected", "clean": "clean", "removed": "after removal"}
METRICS = ("ca", "asr", "pa")
COLUMNS = ("model", "learning_rate", "step", "statistics",
           *(f"{metric}{end}" for metric in METRICS for end in ("", "_low", "_high", "_n")))  # fmt: skip
"""Columns of `rebound.csv`, after the settings."""


@dataclass(frozen=True)
class Followed:
    """One model under clean fine-tuning.

    Attributes:
        role: which model of the trial it is.
        record: the trial; of a model that several trials share, one of them.
        rates: its curve at each learning rate, the spec's own first.
    """

    role: Role
    record: TrialRecord
    rates: tuple[tuple[ReboundRecord, ReboundCurve], ...]

    @property
    def curve(self) -> ReboundCurve:
        """The curve at the spec's own learning rate."""
        return self.rates[0][1]

    def has(self, axis: str) -> bool:
        """Whether an axis tells this model from others: those of the defender say nothing of an uncleaned one."""
        return self.role == "removed" or is_of_model(axis)


def followed_of(records: Sequence[TrialRecord]) -> list[Followed]:
    """For each infected model itself and the clean one, each once, then every trial on it that has a result."""
    measured = one_per_cell(record for record in records if record.rebounds)
    found = []
    for group in grouped(measured, lambda record: (*model_of(record), record.attack)).values():
        for role in ROLES:
            every = [model for record in group if (model := _followed(role, record)) is not None]
            found += every if role == "removed" else every[:1]
    return found


def rows_of(records: Sequence[TrialRecord]) -> Iterator[Row]:
    """A row for each model, learning rate and step, with the intervals of its scores."""
    for model in followed_of(records):
        settings = {name: value for name, value in settings_of(model.record).items() if model.has(name)}
        of_trial = {"fingerprint": model.record.fingerprint} if model.role == "removed" else {}
        for rebound, curve in model.rates:
            common = {**of_trial, **settings, "model": model.role, "learning_rate": rebound.learning_rate}
            points = [(point.step, None, point.scores) for point in curve.points]
            again = [] if curve.reestimated is None else [(0, "reestimated", curve.reestimated)]
            for step, statistics, scores in [*points[:1], *again, *points[1:]]:
                yield {**common, "step": step, "statistics": statistics, **_told(scores)}


def _followed(role: Role, record: TrialRecord) -> Followed | None:
    rates = tuple((each, curve) for each in record.rebounds if (curve := getattr(each, role)) is not None)
    return Followed(role, record, rates) if rates else None


def _told(scores: ScoresRecord) -> Row:
    row: Row = {}
    for metric in METRICS:
        rate = scores.rate(metric)
        row |= {metric: rate.value, f"{metric}_low": rate.low, f"{metric}_high": rate.high, f"{metric}_n": rate.n}
    return row
