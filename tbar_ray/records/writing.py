"""A trial's record, made from the artifacts of its stages."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from math import isfinite, nan
from typing import Any

from tbar_ray.errors import TbarError
from tbar_ray.planning.graph import TrialGraph
from tbar_ray.planning.planner import PlannedTrial
from tbar_ray.records.inversion_reader import read_inversion
from tbar_ray.records.measures import (
    Cost,
    DisentanglementRecord,
    GateRecord,
    GeometryRecord,
    OtherBackdoor,
    StageUse,
    VisibilityRecord,
    WeightChange,
)
from tbar_ray.records.path_reader import removal_of, retrieval_of, scores_of
from tbar_ray.records.rebound_reader import read_rebounds
from tbar_ray.records.record import Status, TrialRecord
from tbar_ray.records.scores import RateRecord, Role, ScoresRecord
from tbar_ray.redaction import redact, redact_all
from tbar_ray.stages.alpha_path import PATH
from tbar_ray.stages.downstream import DOWNSTREAM
from tbar_ray.stages.evaluate import SCORES, Evaluate
from tbar_ray.stages.geometry import GEOMETRY
from tbar_ray.stages.measure_disentanglement import MAP
from tbar_ray.stages.models import CleanModel, PretrainedModel
from tbar_ray.stages.node import Stage, stages_in_order
from tbar_ray.stages.poison import InfectedModel
from tbar_ray.stages.visibility import VISIBILITY
from tbar_ray.store.store import Store

Content = dict[str, Any]
UNREADABLE = (AttributeError, LookupError, OSError, TypeError, ValueError)
"""Errors that a malformed artifact raises when it is read."""
MOST_KEPT = 256
"""Files whose content a writer caches: trials of a campaign share scores and facts."""


class RecordWriter:
    """Makes the records of trials whose stages have ended."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._kept: OrderedDict[tuple[str, str], Content] = OrderedDict()

    def failed(self, planned: PlannedTrial, reason: str, ended: float | None = None) -> TrialRecord:
        """Record of a trial that ended without a result, at a time; scores known before the failure are kept."""
        graph = planned.graph
        stages: tuple[tuple[Role, Evaluate | None], ...] = (("infected", graph.infected), ("clean", graph.clean))
        if graph.plain != graph.infected:
            stages = (*stages, ("before_merge", graph.plain))
        known: Content = {}
        for role, stage in stages:
            # scores that cannot be read may be why it failed
            with suppress(TbarError, *UNREADABLE):
                if stage is not None and self._store.has(stage.artifact):
                    known[role] = self._scores(stage, "test")
        further: dict[str, Callable[[TrialGraph], object]] = {
            "gate": self._gate,
            "visibility": self._visibility,
            "pretraining_samples": self._pretraining_samples,
            "inversion": lambda graph: read_inversion(
                graph, self._read, self._facts, lambda stage: self._store.has(stage.artifact)
            ),
        }
        for name, read in further.items():
            with suppress(TbarError, *UNREADABLE):
                known[name] = read(graph)
        # what comes after the removal may have failed: rebound, downstream changes, a map
        with suppress(TbarError, *UNREADABLE):
            if self._store.has(graph.path.artifact):
                known |= removal_of(self._read(graph.path, PATH))
        return TrialRecord(**self._identity(planned), status="failed", reason=redact(reason), ended=ended, **known)

    def finished(self, planned: PlannedTrial) -> TrialRecord:
        """Record of a trial whose stages are all in the store.

        Raises:
            StoreError: if an artifact cannot be read.
        """
        graph, spec = planned.graph, planned.trial.spec
        path = self._read(graph.path, PATH)
        infected = self._read(graph.infected, SCORES)
        clean = None if graph.clean is None else self._read(graph.clean, SCORES)
        removal = removal_of(path)
        status: Status = "done" if path["feasible"] else "dominated" if path["dominated"] else "infeasible"
        reasons: Mapping[Status, str] = {
            "dominated": "no α that retains enough CA comes below the validation ASR of an earlier trial, "
            f"{planned.trial.to_beat or 0:.1%}",
            "infeasible": f"no α retains {spec.evaluation.min_retention:.0%} of the infected model's validation CA "
            f"{removal['reference_ca']:.1%}; the best has "
            f"{max((point.ca for point in removal['path']), default=0):.1%}",
        }
        facts = [self._facts(stage) for stage in stages_in_order([graph.path])]
        return TrialRecord(
            **self._identity(planned),
            status=status,
            reason=reasons.get(status),
            **removal,
            infected=scores_of(infected["test"]),
            clean=None if clean is None else scores_of(clean["test"]),
            before_merge=self._scores(graph.plain, "test") if graph.plain != graph.infected else None,
            gate=self._gate(graph),
            visibility=self._visibility(graph),
            retrieval=retrieval_of(path, infected, clean),
            weight_change=self._weight_change(graph),
            found=self._facts(graph.path.unlearn)["facts"]["method"],
            others=self._others(graph, path),
            disentanglement=self._disentanglement(graph, path["selected"]),
            inversion=read_inversion(graph, self._read, self._facts),
            rebounds=tuple(read_rebounds(graph, self._read, self._facts)),
            downstream={} if graph.downstream is None else self._downstream(graph.downstream),
            downstream_references={
                role: self._downstream(stage) for role, stage in graph.downstream_references.items()
            },
            cost=self._cost(graph),
            seconds=sum(fact["seconds"] for fact in facts if fact["fingerprint"] in _own(graph)),
            ended=self._facts(graph.path).get("ended"),
            skipped_samples=sum(fact["facts"].get("skipped", 0) for fact in facts),
            lost=_lost(facts),
            pretraining_samples=self._pretraining_samples(graph),
        )

    def _identity(self, planned: PlannedTrial) -> Content:
        trial, graph = planned.trial, planned.graph
        attack = trial.spec.attacks[trial.attack]
        plant = next((plant for plant in graph.model.plants if plant.attack == trial.attack), None)
        shared = [stage for stage in stages_in_order(graph.outputs) if stage.trains and stage.shared]
        return {
            "fingerprint": planned.fingerprint,
            "path_artifact": graph.path.artifact,
            "settings": redact_all(dict(trial.settings)),
            "trigger": attack.trigger,
            "target": attack.target,
            "task": attack.task,
            "planting": attack.planting.method,
            "merge": attack.merge.method if attack.merge else None,
            "alphas": trial.alphas,
            "trainings": {f"{stage.kind} {stage.fingerprint[:8]}": stage.artifact for stage in shared},
            "infected_artifact": graph.model.artifact if isinstance(graph.model, InfectedModel) else None,
            "plant_fingerprint": plant.fingerprint if plant is not None else None,
            "stages": tuple(self._uses(graph)),
        }

    def _uses(self, graph: TrialGraph) -> Iterator[StageUse]:
        for stage in stages_in_order(graph.outputs):
            with suppress(TbarError, *UNREADABLE):  # of a failed trial not all have run
                facts = self._facts(stage)
                cpus = facts.get("cpus", facts.get("threads", stage.threads))
                yield StageUse(artifact=stage.artifact, seconds=facts["seconds"], cpus=cpus, gpus=facts.get("gpus"))

    def _gate(self, graph: TrialGraph) -> GateRecord:
        """What the gate of the trial's own attack compared, whatever it decided."""
        gate = graph.path.gate
        infected = self._scores(gate.infected, "validation")
        return GateRecord(
            asr=_known(infected.asr),
            ca=_known(infected.ca),
            clean_ca=None if gate.clean is None else _known(self._scores(gate.clean, "validation").ca),
            min_asr=gate.min_asr,
            max_ca_drop=gate.max_ca_drop,
        )

    def _visibility(self, graph: TrialGraph) -> VisibilityRecord:
        return VisibilityRecord(**self._read(graph.visibility, VISIBILITY))

    def _pretraining_samples(self, graph: TrialGraph) -> int | None:
        """Samples that pretraining saw; None where it has not ended, and for weights of which it is not known."""
        clean = None if graph.clean is None else graph.clean.model
        start = graph.model.clean if isinstance(graph.model, InfectedModel) else clean
        if isinstance(start, PretrainedModel):
            return _seen(start)
        if not isinstance(start, CleanModel) or not self._store.has(start.artifact):
            return None
        before = 0 if start.start is None else _seen(start.start)
        return None if before is None else before + int(self._facts(start)["facts"]["training"]["samples"])

    def _weight_change(self, graph: TrialGraph) -> WeightChange | None:
        """How far the attacker moved the weights; None for a given model, whose start is unknown."""
        if not isinstance(graph.model, InfectedModel):
            return None
        return WeightChange(**self._facts(graph.model)["facts"]["weight_change"])

    def _others(self, graph: TrialGraph, path: Content) -> dict[str, OtherBackdoor]:
        """ASR of the model's other backdoors before and after this one's removal, by attack."""
        found = {}
        for stage in graph.path.others:
            fingerprint = stage.backdoor.fingerprint
            after = path.get("others", {}).get(fingerprint)
            before = self._scores(stage, "test").asr.value
            found[graph.others[fingerprint]] = OtherBackdoor(
                asr_infected=before, asr=after["asr"]["value"] if after else None
            )
        return found

    def _disentanglement(self, graph: TrialGraph, alpha: float | None) -> DisentanglementRecord | None:
        """The map, ξ where it is read and the grid reaches, and the trigger's geometry; None without a map."""
        from tbar_ray.evaluation.disentanglement_map import DisentanglementMap

        if graph.map is None:
            return None
        content = self._read(graph.map, MAP)
        whole = DisentanglementMap.from_dict(content)

        def at(alpha_t: float) -> float | None:
            inside = whole.alphas_c[0] <= 1 <= whole.alphas_c[-1] and whole.alphas_t[0] <= alpha_t <= whole.alphas_t[-1]
            value = whole.at(1, alpha_t) if inside else nan
            return value if isfinite(value) else None

        equal = None if alpha is None else self._equal_length(graph, alpha, content["vectors"]["trigger"]["norm"])
        return DisentanglementRecord(
            **content,
            at_planted=at(1),
            at_negated=None if alpha is None else at(-alpha),
            alpha=alpha,
            at_equal_length=None if equal is None else at(equal),
            alpha_equal_length=equal,
            geometry=None if graph.geometry is None else GeometryRecord(**self._read(graph.geometry, GEOMETRY)),
        )

    def _equal_length(self, graph: TrialGraph, alpha: float, norm: float) -> float | None:
        """α_t at which −α_t·τ_t, ‖τ_t‖ being `norm`, is as long as the trial's −α·τ; None if nothing is negated."""
        from tbar_ray.unlearning.registry import build_unlearner

        unlearn = graph.path.unlearn
        if build_unlearner(unlearn.method, unlearn.parameters).strength != "negation" or norm == 0:
            return None
        return -alpha * float(self._facts(unlearn)["facts"]["norm"]) / norm

    def _downstream(self, stage: Stage) -> dict[str, ScoresRecord]:
        """Scores of a model by the change that was made to it."""
        return {name: scores_of(content) for name, content in self._read(stage, DOWNSTREAM).items()}

    def _cost(self, graph: TrialGraph) -> Cost:
        facts = self._facts(graph.path.unlearn)["facts"]
        training = facts["training"]
        return Cost(
            data=sum(facts["data"].values()),
            forget_images=facts["data"].get("forget", 0),
            clean_pairs=facts["data"].get("clean", 0),
            training_pairs=facts["data"].get("training", 0),
            peak_memory=facts["peak_memory"],
            **{name: training[name] for name in ("samples", "steps", "seconds")},
        )

    def _scores(self, stage: Evaluate, split: str) -> ScoresRecord:
        return scores_of(self._read(stage, SCORES)[split])

    def _read(self, stage: Stage, file: str) -> Content:
        return self._once(
            stage.artifact, file, lambda: json.loads((self._store.fetch(stage.artifact, file) / file).read_text())
        )

    def _facts(self, stage: Stage) -> Content:
        return self._once(stage.artifact, "", lambda: self._store.facts(stage.artifact))

    def _once(self, artifact: str, file: str, read: Callable[[], Content]) -> Content:
        """Content of an artifact's file, cached: artifacts never change."""
        key = artifact, file
        content: Content = self._kept.pop(key) if key in self._kept else read()
        self._kept[key] = content
        while len(self._kept) > MOST_KEPT:
            self._kept.popitem(last=False)
        return content


def _lost(facts: Sequence[Content]) -> tuple[str, ...]:
    """What the stages' data lost, each once: `lost` of evaluations, `problems` of trainings."""
    lines = (line for fact in facts for name in ("problems", "lost") for line in fact["facts"].get(name, ()))
    return tuple(dict.fromkeys(lines))


def _own(graph: TrialGraph) -> set[str]:
    return {graph.path.fingerprint, graph.path.unlearn.fingerprint}


def _known(rate: RateRecord) -> float:
    assert rate.value is not None
    return rate.value


def _seen(given: PretrainedModel) -> int | None:
    from tbar_ray.models.samples_seen import samples_seen

    return samples_seen(given.weights) if given.samples_seen is None else given.samples_seen
