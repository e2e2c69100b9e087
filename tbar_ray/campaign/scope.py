"""Which trials of a grid a launch runs: all that are left, unless it was asked for less."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tbar_ray.errors import SpecError
from tbar_ray.planning.planner import PlannedTrial
from tbar_ray.records.ledger import Ledger
from tbar_ray.spec.campaign import CampaignSpec


@dataclass(frozen=True)
class Scope:
    """What a launch was asked to run.

    Attributes:
        retry_failed: only trials whose record says that they failed; those that have not run stay as they are.
    """

    retry_failed: bool = False

    def check(self, spec: CampaignSpec) -> None:
        """Make sure that a campaign can be run in part.

        Raises:
            SpecError: one line, if a sampler chooses its trials: it needs the result of every trial before.
        """
        if self.retry_failed and spec.search.sampler != "grid":
            raise SpecError(
                f"--retry failed: {spec.name} has the sampler {spec.search.sampler}, which proposes trials by the "
                f"results of those before; without the option its failed trials run again in their turn"
            )

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
