"""The cells of a campaign, read from a store alone: what it has of them, from whichever campaign computed it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from functools import cache, cached_property, partial
from typing import Any

from tbar_ray.errors import StoreError
from tbar_ray.leaderboard.boards import Asked, command_of, data_of
from tbar_ray.leaderboard.cell import After, CaLoss, Cell, Held, ModelScores, Status, TunedOn
from tbar_ray.leaderboard.tuning import Tuning
from tbar_ray.planning.methods import build_method
from tbar_ray.planning.planner import PlannedTrial, Planner
from tbar_ray.planning.rebound import ReboundStages
from tbar_ray.records.launches import LaunchRecord, launches_of
from tbar_ray.records.ledger import Ledger
from tbar_ray.records.rebound import ReboundRecord
from tbar_ray.records.record import TrialRecord
from tbar_ray.records.scores import RateRecord, ScoresRecord
from tbar_ray.records.upkeep import Upkeep
from tbar_ray.records.writing import UNREADABLE, RecordWriter
from tbar_ray.redaction import redact_all
from tbar_ray.report.predictions import compared, read_predictions
from tbar_ray.spec.campaign import CampaignSpec
from tbar_ray.store.store import Store

OUTCOMES: Mapping[str, Status] = {"done": "done", "infeasible": "infeasible", "dominated": "infeasible"}


class Harvest:
    """Reads the cells of a campaign.

    Trials are found by their fingerprints, so that what another campaign computed counts, and that an attack did not
    take. A trial whose rebound has not been computed gives a cell without A_post; that of a campaign that fine-tuned
    every model counts where only some are wanted, not the other way round.

    Args:
        spec: the campaign, a grid.
        store: what has been computed.
        tuning: on what the hyper-parameters were chosen.
        asked: how the cells are asked for, which their commands repeat; None for the data set's name alone. What it
            says of the attacks on which hyper-parameters were chosen goes before `tuning`.
    """

    def __init__(
        self,
        spec: CampaignSpec,
        store: Store,
        tuning: Tuning,
        asked: Asked | None = None,
    ) -> None:
        self._spec, self._store = spec, store
        self._data = data_of(spec)
        self._asked = asked or Asked(self._data)
        self._tuning = tuning
        self._ledger = Ledger(store, spec)
        self._writer = RecordWriter(store)
        self._launches = launches_of(store, self._ledger.folder)
        self._infected_answers = cache(partial(read_predictions, store=store))  # methods share the infected model's

    def cells(self, told: Callable[[int], None] = lambda _: None) -> list[Cell]:
        """Every cell of the campaign, the missing ones too; `told` hears how many were read."""
        found = []
        for number, planned in enumerate(Planner(self._spec, without_data=True).grid(), start=1):
            found.append(self._cell(planned))
            told(number)
        return found

    def _cell(self, planned: PlannedTrial) -> Cell:
        trial, spec = planned.trial, planned.trial.spec
        record = self._record(planned)
        search = spec.defender.inversion
        cell = Cell(
            data=self._data,
            search=search,
            method=trial.method,
            attack=trial.attack,
            seed=spec.seed,
            status="missing",
            parameters=redact_all(build_method(spec, trial.method).model_dump(mode="json", exclude_defaults=True)),
            tuned_on=self._tuned_on(trial.method, trial.attack),
            proposals=self._tuning.proposals if trial.method in self._tuning.methods else None,
            fingerprint=planned.graph.path.fingerprint,
            command=command_of(self._spec, self._asked, trial.method, trial.attack, spec.seed, search),
        )
        if record is None:
            return cell
        path, unlearn = planned.graph.path.artifact, planned.graph.path.unlearn.artifact
        more = {
            "held": _held(spec, record),
            "ca_loss": self._ca_loss(planned) if record.status == "done" else None,
            "code": self._fact(path, "code") or self._launch_code(record),
            "gpus": self._fact(unlearn, "gpus") or None,
        }
        return cell.model_copy(update={**_results(record), **more})

    def _record(self, planned: PlannedTrial) -> TrialRecord | None:
        """The trial's record, with rebound where the store has it; None where it has no result."""
        bare = replace(planned.graph, rebounds=(), downstream=None, downstream_references={})
        every = replace(planned.graph, rebounds=tuple(map(_of_every_model, planned.graph.rebounds)))
        # of a campaign without rebound all three are the same: the store is asked once
        graphs = {tuple(stage.artifact for stage in graph.outputs): graph for graph in (planned.graph, every, bare)}
        for artifacts, graph in graphs.items():
            if all(map(self._store.has, artifacts)):
                with suppress(StoreError, *UNREADABLE):  # a broken artifact is as one that is missing
                    return self._writer.finished(replace(planned, graph=graph))
        return self._ledger.find(planned.fingerprint) or self._not_taken.get(planned.graph.path.artifact)

    @cached_property
    def _not_taken(self) -> Mapping[str, TrialRecord]:
        """Records of trials whose attack did not take, of all campaigns, by the artifact of the path of α."""
        campaigns = Upkeep(self._store).records.values()
        every = (record for records in campaigns for record in records)
        return {each.path_artifact: each for each in every if each.gate is not None and not each.gate.passed}

    def _fact(self, artifact: str, name: str) -> Any:
        """What the store says of an artifact; None where it does not."""
        with suppress(StoreError, *UNREADABLE):
            return self._store.facts(artifact).get(name)
        return None

    def _ca_loss(self, planned: PlannedTrial) -> CaLoss | None:
        """What removal has cost of CA on the same images; None where the store does not have the answers to each."""
        graph = planned.graph
        with suppress(StoreError, *UNREADABLE):
            infected = self._infected_answers(graph.infected.artifact)
            cleaned = read_predictions(graph.path.artifact, self._store)
            if (found := compared(infected, cleaned).get("ca")) is not None:
                return CaLoss(value=found.difference, low=found.low, high=found.high)
        return None

    def _tuned_on(self, method: str, attack: str) -> TunedOn:
        tuning, attacks = self._tuning, self._spec.attacks
        if (stated := self._asked.tuned_on) is not None:
            tuning = Tuning(tuple(attacks[name] for name in sorted(stated)), None, frozenset({method}))
        return tuning.tuned_on(method, attacks[attack])

    def _launch_code(self, record: TrialRecord) -> str | None:
        """Code of the launch of this campaign that computed a trial; None for another campaign's."""
        before = [launch for launch in self._launches if record.ended is not None and _start(launch) <= record.ended]
        return before[-1].code if before else None


def lacking(cells: Sequence[Cell]) -> list[str]:
    """Missing cells, a line for each method: the attacks that it lacks, with the seeds."""
    found: dict[str, dict[str, list[int]]] = {}
    for cell in cells:
        if not cell.is_measured:
            name = f"{cell.method}, found by {cell.search}" if cell.search else cell.method
            found.setdefault(name, {}).setdefault(cell.attack, []).append(cell.seed)
    return [f"{name}: {'; '.join(_by_seeds(attacks))}" for name, attacks in found.items()]


def _by_seeds(attacks: Mapping[str, Sequence[int]]) -> list[str]:
    groups: dict[tuple[int, ...], list[str]] = {}
    for attack, seeds in attacks.items():
        groups.setdefault(tuple(sorted(seeds)), []).append(attack)
    return [
        f"{', '.join(names)} (seed{'s' * (len(seeds) > 1)} {', '.join(map(str, seeds))})"
        for seeds, names in groups.items()
    ]


def _results(record: TrialRecord) -> dict[str, object]:
    status: Status = OUTCOMES.get(record.status) or _failure(record)
    cost = record.cost
    return {
        "status": status,
        "reason": record.reason,
        "clean": _scores(record.clean),
        "infected": _scores(record.infected),
        "cleaned": _scores(record.removed) if status == "done" else None,
        "after": _after(record.rebound) if status == "done" else None,
        "seconds": None if cost is None else cost.seconds,
        "samples": None if cost is None else cost.samples,
        "alpha": record.alpha if status == "done" else None,
        "ended": record.ended,
    }


def _failure(record: TrialRecord) -> Status:
    """Whose failure it is; one before the gate is nothing of the method's, and the cell is still to be measured."""
    if record.gate is None:
        return "missing"
    return "failed" if record.gate.passed else "not taken"


def _of_every_model(stages: ReboundStages) -> ReboundStages:
    return {**stages, "removed": stages["removed"].of_every_model}


def _scores(scores: ScoresRecord | None) -> ModelScores | None:
    return None if scores is None else ModelScores(ca=scores.ca, asr=scores.asr, pa=scores.pa)


def _after(rebound: ReboundRecord | None) -> After | None:
    if rebound is None or rebound.removed is None:
        return None
    curve = rebound.removed
    every = [point.scores.asr for point in curve.points]
    every += [] if curve.reestimated is None else [curve.reestimated.asr]
    return After(
        highest=max(every, key=_value),
        infected=rebound.infected.figures.highest,
        steps=rebound.steps[-1],
        learning_rate=rebound.learning_rate,
        ca=curve.points[-1].scores.ca,
    )


def _value(rate: RateRecord) -> float:
    return -1.0 if rate.value is None else rate.value


def _held(spec: CampaignSpec, record: TrialRecord) -> Held | None:
    if record.cost is None:
        return None
    method = build_method(spec, record.method)
    return Held(
        images=record.cost.forget_images,
        clean_pairs=record.cost.clean_pairs,
        training_pairs=record.cost.training_pairs,
        labels=method.reads_labels,
        knows=tuple(need for need in ("trigger", "target") if need in method.needs),
    )


def _start(launch: LaunchRecord) -> float:
    return datetime.fromisoformat(launch.started).timestamp()
