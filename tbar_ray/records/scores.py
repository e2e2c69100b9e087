"""Scores of models as they are recorded: rates with intervals, the scores of a split, the points of an α path."""

from __future__ import annotations

from typing import Literal

from tbar_ray.records.part import Part

Role = Literal["removed", "as_applied", "reestimated", "infected", "clean", "before_merge"]
"""The model that a score is of: after removal; the same with the other running statistics, by their name; the infected
model; the clean one; the infected one before its merge."""
BESIDE: tuple[Role, ...] = ("as_applied", "reestimated")
METRICS = ("ca", "ca_top5", "asr", "asr_all_images", "pa")
RETRIEVAL = (
    *(f"{way}_at_{k}" for way in ("image_to_text", "text_to_image") for k in (1, 5, 10)),
    "caption_asr",
    "caption_asr_untriggered",
)
"""Scores of a retrieval set, where the campaign has one."""


class RateRecord(Part):
    """A share of n with its 95 % Wilson interval. Undefined without images."""

    value: float | None
    low: float | None = None
    high: float | None = None
    n: int | None = None


class ScoresRecord(Part):
    """The scores of one model on one split."""

    ca: RateRecord
    ca_top5: RateRecord
    asr: RateRecord
    asr_all_images: RateRecord
    pa: RateRecord

    def rate(self, metric: str) -> RateRecord:
        """Return one of `METRICS`."""
        found: RateRecord = getattr(self, metric)
        return found


class PointRecord(Part):
    """Validation scores at one α; `ca_retention` is CA over the infected model's.

    Of a model with running statistics, `as_applied` or `reestimated` has the scores with the statistics on which α was
    not selected.
    """

    alpha: float
    scores: ScoresRecord
    ca_retention: float | None
    as_applied: ScoresRecord | None = None
    reestimated: ScoresRecord | None = None

    @property
    def beside(self) -> ScoresRecord | None:
        """Scores with the other running statistics."""
        return self.as_applied or self.reestimated

    @property
    def ca(self) -> float:
        """Clean accuracy."""
        return _known(self.scores.ca)

    @property
    def asr(self) -> float:
        """Attack success rate."""
        return _known(self.scores.asr)

    @property
    def pa(self) -> float:
        """Share of triggered images answered with their true class."""
        return _known(self.scores.pa)


def _known(rate: RateRecord) -> float:
    assert rate.value is not None
    return rate.value
