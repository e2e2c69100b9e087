"""A share of a grid, for one of several clusters that work on one store."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from tbar_ray.errors import SpecError
from tbar_ray.planning.planner import PlannedTrial


@dataclass(frozen=True)
class Share:
    """The share `number`, from 1, of `of` shares of a grid; written 'number/of'."""

    number: int
    of: int

    @classmethod
    def parse(cls, text: str) -> Share:
        """Read '2/8'.

        Raises:
            SpecError: one line, if it is no such share.
        """
        found = re.fullmatch(r"([0-9]+)/([0-9]+)", text.strip())
        share = cls(int(found[1]), int(found[2])) if found else None
        if share is None or not 1 <= share.number <= share.of:
            raise SpecError(f"--shard {text}: give K/N, the K-th of N shares, K from 1 to N; for example 2/8")
        return share

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"

    def part(self, trials: Sequence[PlannedTrial]) -> list[PlannedTrial]:
        """The trials of this share; shares have no trial in common, make up the grid, and differ by one in size.

        Trials on one infected model lie together, so that few models are needed by two shares, which would both compute
        them. Within a model trials keep their order.

        Raises:
            SpecError: one line, if there are more shares than trials.
        """
        if self.of > len(trials):
            raise SpecError(f"--shard {self}: the grid has {len(trials)} trials; divide it into at most so many shares")
        places = {model: place for place, model in enumerate(dict.fromkeys(map(_model, trials)))}
        together = sorted(trials, key=lambda planned: places[_model(planned)])
        first, last = ((number * len(trials)) // self.of for number in (self.number - 1, self.number))
        return together[first:last]


def _model(planned: PlannedTrial) -> str:
    return planned.graph.model.fingerprint
