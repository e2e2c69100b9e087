"""Rehearsing a campaign: every kind of stage, attack and method once, on random weights and drawn data."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from tbar_ray.campaign.launch import Launch, launch
from tbar_ray.data.synthetic.stand_in import Classes
from tbar_ray.errors import ScientificError
from tbar_ray.planning.planner import PlannedTrial, Planner
from tbar_ray.planning.preflight import check_campaign
from tbar_ray.planning.rehearsal import RehearsalPlanner
from tbar_ray.planning.stand_ins import PAIRS
from tbar_ray.processors import processors
from tbar_ray.records.record import TrialRecord
from tbar_ray.spec.campaign import CampaignSpec
from tbar_ray.stages.invert import ProxyBackdoor
from tbar_ray.store.store import Store


@dataclass(frozen=True)
class Rehearsed:
    """What the stages of a kind took.

    Attributes:
        kind: the kind.
        number: how many stages of it ran.
        longest: seconds of the longest.
        memory: bytes of the most that a process of one held, libraries among it; None where the system does not tell.
    """

    kind: str
    number: int
    longest: float
    memory: int | None


@dataclass(frozen=True)
class Rehearsal:
    """A rehearsal that has ended.

    Attributes:
        launch: its launch; the scores of its records mean nothing.
        stages: what each kind of stage took, in the order in which they ended first.
        replaced: what stood in for what, a line each.
        missing: real data that are not there, a line each.
        names: attacks, methods and searches for a trigger that were tried.
        nothing_found: trials that ended with a search that found nothing, as one of random weights may: fingerprints.
    """

    launch: Launch
    stages: tuple[Rehearsed, ...]
    replaced: tuple[str, ...]
    missing: tuple[str, ...]
    names: Mapping[str, tuple[str, ...]]
    nothing_found: frozenset[str] = frozenset()

    @property
    def failed(self) -> list[TrialRecord]:
        """Trials that failed for another reason than that a search found nothing."""
        records = (record for record in self.launch.records if record.fingerprint not in self.nothing_found)
        return [record for record in records if record.status == "failed"]


def check_rehearsable(spec: CampaignSpec) -> Planner:
    """Check a campaign as it is, without its data; return its planner, which knows which data are missing.

    Raises:
        SpecError: one line, for every error that can be found without data.
    """
    planner = Planner(spec, without_data=True)
    check_campaign(planner)
    return planner


def plan_rehearsal(spec: CampaignSpec, folder: Path, *, here: bool, weights: bool = True) -> RehearsalPlanner:
    """The trials of a rehearsal, with what stands in for data and weights written to a folder.

    Args:
        spec: a campaign that was checked.
        folder: an empty folder.
        here: whether it runs on this machine alone: resources are then cut to what this has.
        weights: whether weights are written, too: a plan does without.

    Raises:
        SpecError: if a target is no class of a set whose classes are known.
        DataError: if the folder cannot be written.
    """
    planner = RehearsalPlanner(spec, folder, processors() if here else None, _gpus() if here else 0)
    planner.stand_ins.write(spec.data)
    planner.stand_ins.write_weights(empty=not weights)
    return planner


def rehearse(spec: CampaignSpec, folder: Path, address: str | None, console: Console) -> Rehearsal:
    """Run a campaign's rehearsal in a store, an MLflow database and a report of its own.

    Args:
        spec: the campaign.
        folder: an empty folder, which every node of a cluster must reach.
        address: of a Ray cluster; None or "local" for this machine.
        console: where it is shown.

    Raises:
        TbarError: one line, for every error that can be found before the sweep.
    """
    real = check_rehearsable(spec)
    planner = plan_rehearsal(spec, folder, here=address in (None, "local"))
    store = Store(str(folder / "store"))
    found = launch(
        planner.spec,
        store,
        f"sqlite:///{folder / 'mlflow.db'}",
        folder / "report",
        address,
        console,
        planner=planner,
    )
    grid = planner.grid()
    trials = [planned.trial for planned in grid]
    searches = (trial.spec.defender.inversion for trial in trials)
    names = {
        "attack": tuple(dict.fromkeys(name for trial in trials for name in sorted(trial.involved))),
        "method": tuple(dict.fromkeys(trial.method for trial in trials)),
        "inversion": tuple(dict.fromkeys(name for name in searches if name is not None)),
    }
    nothing = frozenset(planned.fingerprint for planned in grid if _found_nothing(planned, store))
    facts = sorted(map(store.facts, store.artifacts()), key=lambda about: float(about["ended"]))
    return Rehearsal(found, by_kind(facts), tuple(replacements(spec, planner)), real.missing, names, nothing)


def _found_nothing(planned: PlannedTrial, store: Store) -> bool:
    """Whether a trial's search for a trigger ran and found none, or none that leads to a class."""
    judge = planned.graph.path.judge
    proxy = None if judge is None else judge.backdoor
    if not isinstance(proxy, ProxyBackdoor) or not store.has(proxy.search.artifact):
        return False
    try:
        proxy.build(store)
        proxy.target_in(store)
    except ScientificError:
        return True
    return False


def by_kind(facts: Iterable[Mapping[str, Any]]) -> tuple[Rehearsed, ...]:
    """What each kind of stage took, from the store's facts of stages."""
    kinds: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for about in facts:
        kinds[about["kind"]].append(about)
    return tuple(
        Rehearsed(
            kind,
            len(stages),
            max(float(about["seconds"]) for about in stages),
            max((about["peak_memory"] for about in stages if about["peak_memory"] is not None), default=None),
        )
        for kind, stages in kinds.items()
    )


def replacements(spec: CampaignSpec, planner: RehearsalPlanner) -> Iterable[str]:
    """What stands in for what in a rehearsal, a line each."""
    stand_ins = planner.stand_ins
    if spec.model.pretrained is not None or any(attack.infected for attack in spec.attacks.values()):
        yield f"weights: random ones of {' and '.join(stand_ins.architectures)}, from a file"
    if spec.data.synthetic is None:
        labels = "with" if stand_ins.labelled else "without"
        yield f"pairs: {PAIRS} of {stand_ins.size} px, {labels} labels"
        yield f"evaluation set: {_told(stand_ins.evaluation)}"
    for name, classes in stand_ins.tasks.items():
        yield f"task {name}: {_told(classes)}"
    if planner.ready:
        yield f"infected models: other random weights for {', '.join(sorted(planner.ready))}, which repeat a planting"
    yield "amounts: a few steps, samples, α and prompts in place of the spec's"
    others = [name for name, axis in planner.spec.search.axes.items() if len(_values(axis)) == 1]
    if others:
        yield f"axes of which one value was tried: {', '.join(others)}"


def _told(classes: Classes) -> str:
    return f"{len(classes.names)} classes ({', '.join(classes.names[:3])}, …)"


def _values(axis: object) -> list[Any]:
    return axis if isinstance(axis, list) else [axis]


def _gpus() -> int:
    import torch

    return torch.cuda.device_count()
