"""The graph of stages of a trial, built from the spec."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tbar_ray.lasting.options import ChangeName, Uncleaned
from tbar_ray.models.architectures import image_size
from tbar_ray.planning.beliefs import defenders_backdoor
from tbar_ray.planning.disentanglement import geometry_stage, map_stages
from tbar_ray.planning.foundation import Foundation
from tbar_ray.planning.methods import build_method
from tbar_ray.planning.planted import PlantedAttack, plant_attack
from tbar_ray.planning.rebound import ReboundStages, rebound_stages
from tbar_ray.planning.trial import Trial
from tbar_ray.spec.campaign import CampaignSpec
from tbar_ray.stages.alpha_path import AlphaPath
from tbar_ray.stages.backdoor import Backdoor
from tbar_ray.stages.downstream import MeasureDownstream, MeasureReferenceDownstream
from tbar_ray.stages.evaluate import AttackGate, Evaluate
from tbar_ray.stages.geometry import MeasureGeometry
from tbar_ray.stages.infected import InfectedNode
from tbar_ray.stages.invert import ProxyBackdoor
from tbar_ray.stages.likeness import MeasureLikeness
from tbar_ray.stages.measure_disentanglement import MeasureDisentanglement
from tbar_ray.stages.models import ModelNode
from tbar_ray.stages.node import Stage
from tbar_ray.stages.unlearn import Unlearn
from tbar_ray.stages.visibility import MeasureVisibility

if TYPE_CHECKING:
    from tbar_ray.unlearning.base import Unlearner


@dataclass(frozen=True)
class TrialGraph:
    """The stages of a trial, and the scores that its result is compared with.

    Attributes:
        path: the last stage of the unlearning.
        clean: scores of the model before the attack (in the single-task setting, fine-tuned cleanly); None without.
        infected: scores of the infected model.
        plain: the infected model before the victim merged it; the same as `infected` without a merge.
        model: the infected model, before a merge.
        visibility: how visible the trigger is.
        map: the disentanglement map, where the campaign asks for one.
        geometry: lengths and angles of the trigger of this map; None without a map.
        rebounds: rebound of the cleaned, the infected and the clean model, at each learning rate; () where the campaign
            does not ask for it.
        downstream: scores of the cleaned model after changes that people make; None without.
        downstream_references: the same of the infected and of the clean model; {} without.
        likeness: how much the trigger that a search found looks like the true one; None where the defender is told it.
        others: for an infected model with several backdoors, the names of the others by their fingerprints.
    """

    path: AlphaPath
    clean: Evaluate | None
    infected: Evaluate
    plain: Evaluate
    model: InfectedNode
    visibility: MeasureVisibility
    map: MeasureDisentanglement | None = None
    geometry: MeasureGeometry | None = None
    rebounds: tuple[ReboundStages, ...] = ()
    downstream: MeasureDownstream | None = None
    downstream_references: Mapping[Uncleaned, MeasureReferenceDownstream] = field(default_factory=dict)
    likeness: MeasureLikeness | None = None
    others: Mapping[str, str] = field(default_factory=dict)

    @property
    def outputs(self) -> list[Stage]:
        """Stages that the trial waits for: its results, and how visible its trigger is."""
        return [*self.results, self.visibility, *(() if self.likeness is None else (self.likeness,))]

    @property
    def results(self) -> list[Stage]:
        """Stages that tell trials apart: the path of α and, where they are, scores before a merge and more measures."""
        plain = self.plain if self.plain != self.infected else None
        further: tuple[Stage | None, ...] = (plain, self.map, self.geometry, self.downstream)
        found = [self.path, *(stage for stage in further if stage is not None), *self.downstream_references.values()]
        return [*found, *(stage for stages in self.rebounds for stage in stages.values())]


def build_graph(trial: Trial, base: Foundation) -> TrialGraph:
    """Stages of a trial; equal parts of two trials are equal objects."""
    spec = trial.spec
    resources = spec.resources
    planted = plant_attack(trial, base, trial.attack)
    source = plant_attack(trial, base, trial.source) if trial.source is not None else planted
    infected = _evaluate(spec, base, planted, "infected", planted.model)
    others = {
        name: _evaluate(spec, base, planted, "infected", planted.model, backdoor)
        for name, backdoor in planted.others.items()
    }
    gate = _gate(spec, base, planted)
    known = defenders_backdoor(spec, planted, gate, trial.attack)
    path = AlphaPath(
        unlearn=_unlearn(trial, source, _gate(spec, base, source)),
        gate=gate,
        infected=infected,
        judge=None if known is None else _evaluate(spec, base, planted, "infected", planted.model, known),
        others=tuple(others.values()),
        alphas=trial.alphas,
        min_retention=spec.evaluation.min_retention,
        max_asr=spec.evaluation.max_asr,
        prefer=spec.evaluation.prefer,
        alpha_search=spec.evaluation.alpha_search,
        statistics=spec.evaluation.statistics,
        statistics_images=spec.evaluation.statistics_images,
        to_beat=trial.to_beat,
        threads=resources.trial_cpus,
    )
    clean = _clean(spec, base, planted)
    xi = map_stages(spec, planted, infected) if spec.disentanglement is not None else None
    return TrialGraph(
        path,
        clean,
        infected,
        plain=_evaluate(spec, base, planted, "infected", planted.infected),
        model=planted.infected,
        visibility=MeasureVisibility(
            evaluation=planted.evaluation, backdoor=planted.backdoor, size=image_size(spec.model.architecture)
        ),
        map=xi,
        geometry=None if xi is None else geometry_stage(xi),
        rebounds=rebound_stages(spec, planted, path, clean),
        downstream=_downstream(spec, path, planted),
        downstream_references=_downstream_references(spec, path, planted, clean),
        likeness=MeasureLikeness(
            evaluation=planted.evaluation,
            backdoor=planted.backdoor,
            proxy=known,
            size=image_size(spec.model.architecture),
        )
        if isinstance(known, ProxyBackdoor)
        else None,
        others={stage.backdoor.fingerprint: name for name, stage in others.items()},
    )


def _unlearn(trial: Trial, source: PlantedAttack, gate: AttackGate) -> Unlearn:
    """The method's stage; data that the method does not need have no part in its fingerprint."""
    return _unlearn_by(trial, source, gate, build_method(trial.spec, trial.method))


def _unlearn_by(trial: Trial, source: PlantedAttack, gate: AttackGate, method: Unlearner) -> Unlearn:
    spec, needs, base = trial.spec, method.needs, method.base()
    attack = trial.source or trial.attack
    blind = not needs & {"trigger", "target", "forget set"}
    forgets = "forget set" in needs
    return Unlearn(
        start=None if base is None else _unlearn_by(trial, source, gate, base),
        gate=gate,
        model=source.model,
        infected=source.infected,
        attack=attack,
        backdoor=(None if blind else defenders_backdoor(spec, source, gate, attack)) or source.backdoor,
        evaluation=source.evaluation,
        templates=spec.evaluation.templates,
        method=method.name,
        parameters=method.identity(),
        forget_size=spec.forget.size if forgets else 0,
        clean_fraction=spec.forget.clean_fraction if forgets else 0,
        clean_pairs=spec.defender.clean_pairs if "clean pairs" in needs else 0,
        training_pairs=spec.defender.training_pairs if "training pairs" in needs else 0,
        knows=tuple(known for known in spec.defender.knows if known in needs),
        seed=spec.seed,
        threads=spec.resources.trial_cpus,
    )


def _evaluate(
    spec: CampaignSpec,
    base: Foundation,
    planted: PlantedAttack,
    role: str,
    model: ModelNode,
    backdoor: Backdoor | None = None,
) -> Evaluate:
    split_seed = spec.evaluation.split_seed
    return Evaluate(
        role=role,
        model=model,
        evaluation=planted.evaluation,
        retrieval=None if planted.infected.classify else base.retrieval,
        backdoor=backdoor or planted.backdoor,
        templates=spec.evaluation.templates,
        validation_fraction=spec.evaluation.validation_fraction,
        max_images=spec.evaluation.max_images,
        split_seed=spec.seed if split_seed is None else split_seed,
        threads=spec.resources.trial_cpus,
    )


def _downstream(spec: CampaignSpec, path: AlphaPath, planted: PlantedAttack) -> MeasureDownstream | None:
    if not spec.evaluation.downstream:
        return None
    changes = _changes(spec)
    another = planted.another if "merged" in changes else None
    return MeasureDownstream(path=path, changes=changes, another=another, threads=spec.resources.trial_cpus)


def _changes(spec: CampaignSpec) -> tuple[ChangeName, ...]:
    """The downstream changes, each once."""
    return tuple(dict.fromkeys(spec.evaluation.downstream))


def _downstream_references(
    spec: CampaignSpec, path: AlphaPath, planted: PlantedAttack, clean: Evaluate | None
) -> Mapping[Uncleaned, MeasureReferenceDownstream]:
    """What the cleaned model is compared with; the infected one is not averaged with itself."""
    changes = _changes(spec)
    found: dict[Uncleaned, MeasureReferenceDownstream] = {}
    scorers: Mapping[Uncleaned, Evaluate | None] = {"infected": path.infected, "clean": clean}
    for role, scorer in scorers.items():
        own = tuple(change for change in changes if (role, change) != ("infected", "wise-ft"))
        if own and scorer is not None:
            found[role] = MeasureReferenceDownstream(
                gate=path.gate,
                scorer=scorer,
                infected=path.infected,
                corpus=planted.infected,
                changes=own,
                another=planted.another if "merged" in own else None,
                statistics_images=spec.evaluation.statistics_images,
                seed=spec.seed,
                threads=spec.resources.trial_cpus,
            )
    return found


def _clean(spec: CampaignSpec, base: Foundation, planted: PlantedAttack) -> Evaluate | None:
    return None if planted.clean is None else _evaluate(spec, base, planted, "clean", planted.clean)


def _gate(spec: CampaignSpec, base: Foundation, planted: PlantedAttack) -> AttackGate:
    return AttackGate(
        clean=_clean(spec, base, planted),
        infected=_evaluate(spec, base, planted, "infected", planted.model),
        min_asr=spec.poison.min_asr,
        max_ca_drop=spec.poison.max_ca_drop,
    )
