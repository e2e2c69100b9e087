"""Panels of the report that other parts of the package fill: detectors, rebound, a second scan of the cleaned file.

A panel that is not given is left out, with one sentence that says so.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tbar_ray.detection.verdict import Outcome
from tbar_ray.evaluation.rates import Rate


@dataclass(frozen=True)
class DetectorResult:
    """A detector's score of the model, among those of reference models whose state is known.

    Attributes:
        name: the detector.
        score: of this model; None where its search did not converge.
        clean: scores of clean reference models.
        infected: scores of infected reference models.
        threshold: beyond which it says "infected".
        infected_above: whether infected models score above the threshold; else below.
        false_alarms: share of clean reference models that it calls infected.
        misses: share of infected reference models that it calls clean.
        note: what its score is, and which reference models it was measured on.
    """

    name: str
    score: float | None
    clean: Sequence[float]
    infected: Sequence[float]
    threshold: float
    infected_above: bool
    false_alarms: Rate
    misses: Rate
    note: str = ""

    @property
    def alarmed(self) -> bool:
        """Whether it says "infected"; without a score it does not."""
        if self.score is None:
            return False
        return self.score > self.threshold if self.infected_above else self.score < self.threshold


@dataclass(frozen=True)
class ReboundCurve:
    """What clean fine-tuning does to a model: whether a removed backdoor comes back.

    Attributes:
        name: the model, for the legend.
        steps: optimiser steps, ascending from 0.
        asr: after each of them.
        ca: after each of them.
        note: the fine-tuning, in words.
    """

    name: str
    steps: Sequence[int]
    asr: Sequence[Rate]
    ca: Sequence[Rate]
    note: str = ""


@dataclass(frozen=True)
class SecondScan:
    """What a scan says of the cleaned model.

    Attributes:
        outcome: in one word.
        headline: in one sentence.
    """

    outcome: Outcome
    headline: str

    @property
    def alarmed(self) -> bool:
        """Whether it calls the cleaned model infected."""
        return self.outcome == "infected"


@dataclass(frozen=True)
class Panels:
    """What a report shows beside its own measurements.

    Attributes:
        detectors: scores of the suspicious model.
        rescan: scores of the cleaned model, by the same detectors.
        rebound: curves of the cleaned model and of others to compare it with.
        again: the verdict of the scan of the cleaned model.
    """

    detectors: tuple[DetectorResult, ...] = ()
    rescan: tuple[DetectorResult, ...] = ()
    rebound: tuple[ReboundCurve, ...] = ()
    again: SecondScan | None = None
