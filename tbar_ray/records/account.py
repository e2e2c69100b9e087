"""What a campaign cost: hours of CPUs and GPUs by kind of stage, and hours that shared results saved."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import astuple, dataclass

from tbar_ray.records.measures import StageUse
from tbar_ray.records.record import TrialRecord

HOUR = 3600.0


@dataclass(frozen=True)
class Expense:
    """What some stages cost.

    A CPU-hour is an hour in which a stage holds a CPU, whether it is busy or not. A stage that shares a GPU counts with
    its fraction. Time of stages that failed is not known, and not counted. A stage that went on from a checkpoint
    counts from there: what attempts held that were cut off is told apart (`lost_attempts`).

    Attributes:
        computed: stages that were computed.
        uses: how often trials needed them or others that were there before.
        cpu_hours, gpu_hours: of the stages that were computed.
        saved_cpu_hours, saved_gpu_hours: what all uses would have cost beyond that, if each trial computed its own.
        unknown: stages of earlier versions, which do not tell their GPUs: these count as none.
    """

    computed: int = 0
    uses: int = 0
    cpu_hours: float = 0
    gpu_hours: float = 0
    saved_cpu_hours: float = 0
    saved_gpu_hours: float = 0
    unknown: int = 0

    def __add__(self, other: Expense) -> Expense:
        return Expense(*(mine + theirs for mine, theirs in zip(astuple(self), astuple(other), strict=True)))


def account_of(records: Iterable[TrialRecord], before: Collection[str] = ()) -> dict[str, Expense]:
    """What the trials of some records cost, by kind of stage, the most CPU-hours first.

    Args:
        records: the trials; stages are known of those that this version has run or read.
        before: artifacts that were there before, and were not computed for these trials.
    """
    uses: dict[str, list[StageUse]] = {}
    for record in records:
        for use in record.stages:
            uses.setdefault(use.artifact, []).append(use)
    kinds: dict[str, Expense] = {}
    for artifact, found in uses.items():
        kind = artifact.rsplit("-", 1)[0]
        kinds[kind] = kinds.get(kind, Expense()) + _expense(found[0], len(found), artifact not in before)
    return dict(sorted(kinds.items(), key=lambda entry: -entry[1].cpu_hours))


def total_of(account: Mapping[str, Expense]) -> Expense:
    """All kinds together."""
    return sum(account.values(), Expense())


def _expense(stage: StageUse, uses: int, computed: bool) -> Expense:
    hours = stage.seconds / HOUR
    cpu, gpu = hours * stage.cpus, hours * (stage.gpus or 0)
    spent = int(computed)
    return Expense(
        spent, uses, cpu * spent, gpu * spent, cpu * (uses - spent), gpu * (uses - spent), int(stage.gpus is None)
    )
