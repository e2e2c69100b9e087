"""Which trials of a grid a launch runs: all that are left, unless it was asked for less."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tbar_ray.errors import SpecError
from tbar_ray.planning.planner import PlannedTrial, Planner
from tbar_ray.planning.share import Share
from tbar_ray.records.ledger import Ledger


@dataclass(frozen=True)
class Scope:
    """What a launch was asked to run.

    Attributes:
        retry_failed: only trials whose record says that they failed; those that have not run stay as they are.
        share: only this share of the trials; other launches run the others.
    """

    retry_failed: bool = False
    share: Share | None = None

    @property
    def name(self) -> str:
        """What tells launches of a campaign that run at one time apart, as a file name."""
        return "whole" if self.share is None else f"share-{self.share.number}-of-{self.share.of}"

    def check(self, planner: Planner) -> None:
        """Make sure that a campaign can be run in part.

        Raises:
            SpecError: one line, if a sampler chooses its trials, or a grid has fewer trials than shares.
        """
        name, sampler = planner.spec.name, planner.spec.search.sampler
        option = "--retry failed" if self.retry_failed else "--shard"
        if self != EVERYTHING and sampler != "grid":
            raise SpecError(
                f"{option}: {name} has the sampler {sampler}, which proposes trials by the results of those before; "
                f"only a grid can be run in part"
            )
        if self.share is not None:
            self.share.part(planner.grid())

    def part(self, grid: Sequence[PlannedTrial]) -> list[PlannedTrial]:
        """The trials of a grid that are this launch's, whether they are to run or have a result."""
        return list(grid) if self.share is None else self.share.part(grid)

    def chosen(self, left: Sequence[PlannedTrial], ledger: Ledger) -> list[PlannedTrial]:
        """The trials to run, of those that are left to do, in their order.

        Raises:
            StoreError: if a record is of another version, or broken.
        """
        return [planned for planned in left if not self.retry_failed or _has_failed(planned, ledger)]


EVERYTHING = Scope()


def _has_failed(planned: PlannedTrial, ledger: Ledger) -> bool:
    record = ledger.find(planned.fingerprint)
    return record is not None and record.status == "failed"
