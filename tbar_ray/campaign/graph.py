"""From a spec and a trial to the graph of stages that answers it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache, partial
from pathlib import Path

from tbar_ray.campaign.backdoor import Backdoor
from tbar_ray.campaign.methods import build_method
from tbar_ray.campaign.node import Stage
from tbar_ray.campaign.planting import PlantedAttack, plant_attack
from tbar_ray.campaign.spec import CampaignSpec
from tbar_ray.campaign.spec_data import Task
from tbar_ray.campaign.stages.alpha_path import AlphaPath
from tbar_ray.campaign.stages.data import (
    GivenData,
    Located,
    Mixture,
    SyntheticCorpus,
    SyntheticEvaluation,
    SyntheticRetrieval,
    SyntheticTask,
)
from tbar_ray.campaign.stages.disentanglement import DisentanglementMap, map_stages
from tbar_ray.campaign.stages.evaluate import AttackGate, Evaluate
from tbar_ray.campaign.stages.models import CleanModel, ModelNode, PretrainedModel
from tbar_ray.campaign.stages.poison import InfectedModel
from tbar_ray.campaign.stages.unlearn import Unlearn
from tbar_ray.campaign.trial import Trial
from tbar_ray.data.evaluation_set import read_lines
from tbar_ray.data.locate import describe_shards
from tbar_ray.errors import DataError


@dataclass(frozen=True)
class TrialGraph:
    """What answers a trial, and the scores that it is compared with.

    Attributes:
        path: the last stage of the unlearning.
        clean: scores of the model before the attack (in the single-task setting, fine-tuned cleanly).
        infected: scores of the infected model.
        plain: the infected model before the victim merged it; the same as `infected` without a merge.
        model: the infected model, before a merge.
        map: the disentanglement map, where the campaign asks for one.
        others: for an infected model with several backdoors, the names of the others by their fingerprints.
    """

    path: AlphaPath
    clean: Evaluate
    infected: Evaluate
    plain: Evaluate
    model: InfectedModel
    map: DisentanglementMap | None = None
    others: Mapping[str, str] = field(default_factory=dict)

    @property
    def ends(self) -> list[Stage]:
        """Return the stages that the trial waits for."""
        ends: list[Stage] = [self.path]
        if self.plain != self.infected:
            ends.append(self.plain)
        if self.map is not None:
            ends.append(self.map)
        return ends


@dataclass(frozen=True)
class Foundation:
    """What every trial of a campaign shares: data and the clean model.

    `missing` says in one line each which data are not there, for a plan made without them.
    """

    corpus: Located
    evaluation: Located
    clean: ModelNode
    samples: int | None
    retrieval: Located | None = None
    tasks: Mapping[str, Located] = field(default_factory=dict)
    missing: tuple[str, ...] = ()


def lay_foundation(spec: CampaignSpec, *, without_data: bool = False) -> Foundation:
    """Return the data and the clean model.

    With `without_data`, data that are not there are assumed: enough to plan, not to run.

    Raises:
        DataError: if given shards do not exist.
    """
    missing: list[str] = []

    def given(describe: Callable[[], GivenData], place: str) -> GivenData:
        try:
            return describe()
        except DataError as error:
            if not without_data:
                raise
            missing.append(str(error))
            return GivenData(place=place, content="missing")

    corpus: Located
    evaluation: Located
    retrieval: Located | None = None
    samples = None
    if (synthetic := spec.data.synthetic) is not None:
        samples = synthetic.samples
        corpus = SyntheticCorpus(
            samples=synthetic.samples,
            size=synthetic.size,
            samples_per_shard=synthetic.samples_per_shard,
            seed=synthetic.seed,
            threads=spec.resources.training_cpus,
        )
        evaluation = SyntheticEvaluation(per_class=synthetic.per_class, size=synthetic.size, seed=synthetic.seed)
        if synthetic.retrieval:
            retrieval = SyntheticRetrieval(pairs=synthetic.retrieval, size=synthetic.size, seed=synthetic.seed)
    else:
        assert spec.data.train is not None
        assert spec.data.evaluation is not None
        train, test, pairs = spec.data.train, spec.data.evaluation, spec.data.retrieval
        if isinstance(train, str):
            samples = _known_samples(train)
            corpus = given(lambda: _given(train, train, samples), train)
        else:
            parts = [given(partial(_given, part.url, part.url), part.url) for part in train]
            corpus = Mixture(parts=tuple(parts), weights=tuple(part.weight for part in train))
        evaluation = given(lambda: _given_evaluation(test), test)
        if pairs is not None:
            retrieval = given(lambda: _given(pairs, f"{pairs.rstrip('/')}/test"), pairs)
    tasks: dict[str, Located] = {}
    for name, task in spec.tasks.items():
        url = task.url
        tasks[name] = _synthetic_task(task) if url is None else given(partial(_given_task, url), url)
    return Foundation(
        corpus, evaluation, _clean_model(spec, corpus, samples), samples, retrieval, tasks, tuple(missing)
    )


def build_graph(spec: CampaignSpec, trial: Trial, base: Foundation) -> TrialGraph:
    """Return the stages of a trial; equal parts of two trials are equal objects."""
    resources = spec.resources
    planted = plant_attack(spec, trial, base, trial.attack)
    source = plant_attack(spec, trial, base, trial.source) if trial.source is not None else planted
    clean = _evaluate(spec, base, planted, "clean", planted.clean)
    infected = _evaluate(spec, base, planted, "infected", planted.model)
    others = {
        name: _evaluate(spec, base, planted, "infected", planted.model, backdoor)
        for name, backdoor in planted.others.items()
    }
    unlearn = _unlearn(spec, trial, source, _gate(spec, base, source))
    path = AlphaPath(
        unlearn=unlearn,
        gate=_gate(spec, base, planted),
        infected=infected,
        others=tuple(others.values()),
        alphas=trial.alphas,
        min_retention=spec.evaluation.min_retention,
        max_asr=spec.evaluation.max_asr,
        alpha_search=spec.evaluation.alpha_search,
        to_beat=trial.to_beat,
        threads=resources.trial_cpus,
        gpus=resources.gpus,
    )
    return TrialGraph(
        path,
        clean,
        infected,
        plain=_evaluate(spec, base, planted, "infected", planted.infected),
        model=planted.infected,
        map=map_stages(spec, planted, infected, trial.seed) if spec.disentanglement is not None else None,
        others={stage.backdoor.fingerprint: name for name, stage in others.items()},
    )


def _unlearn(spec: CampaignSpec, trial: Trial, source: PlantedAttack, gate: AttackGate) -> Unlearn:
    """Return the method's stage; what the method does not need is not part of what it means."""
    searched = dict(trial.parameters)
    if trial.learning_rate is not None:
        searched["learning_rate"] = trial.learning_rate
    method = build_method(spec, trial.method, searched)
    needs = method.needs
    forgets = "forget set" in needs
    return Unlearn(
        gate=gate,
        model=source.model,
        infected=source.infected,
        attack=trial.source or trial.attack,
        backdoor=source.backdoor,
        evaluation=source.evaluation,
        templates=spec.evaluation.templates,
        method=method.name,
        parameters=method.model_dump(),  # defaults too: a default that changes changes what the stage means
        forget_size=trial.forget_size if forgets else 0,
        clean_fraction=trial.clean_fraction if forgets else 0,
        clean_pairs=spec.defender.clean_pairs if "clean pairs" in needs else 0,
        training_pairs=spec.defender.training_pairs if "training pairs" in needs else 0,
        knows=tuple(known for known in spec.defender.knows if known in needs),
        seed=trial.seed,
        threads=spec.resources.trial_cpus,
        gpus=spec.resources.gpus,
    )


def _evaluate(
    spec: CampaignSpec,
    base: Foundation,
    planted: PlantedAttack,
    role: str,
    model: ModelNode,
    backdoor: Backdoor | None = None,
) -> Evaluate:
    return Evaluate(
        role=role,
        model=model,
        evaluation=planted.evaluation,
        retrieval=None if planted.infected.classify else base.retrieval,
        backdoor=backdoor or planted.backdoor,
        templates=spec.evaluation.templates,
        validation_fraction=spec.evaluation.validation_fraction,
        max_images=spec.evaluation.max_images,
        split_seed=spec.seed,
        threads=spec.resources.trial_cpus,
        gpus=spec.resources.gpus,
    )


def _gate(spec: CampaignSpec, base: Foundation, planted: PlantedAttack) -> AttackGate:
    return AttackGate(
        clean=_evaluate(spec, base, planted, "clean", planted.clean),
        infected=_evaluate(spec, base, planted, "infected", planted.model),
        min_asr=spec.poison.min_asr,
        max_ca_drop=spec.poison.max_ca_drop,
    )


def _clean_model(spec: CampaignSpec, corpus: Located, samples: int | None) -> ModelNode:
    model = spec.model
    if model.pretrained is not None:
        is_file = Path(model.pretrained).is_file()
        content = _digest_file(Path(model.pretrained)) if is_file else f"tag {model.pretrained}"
        weights = str(Path(model.pretrained).absolute()) if is_file else model.pretrained
        return PretrainedModel(architecture=model.architecture, weights=weights, content=content)
    assert model.training is not None
    return CleanModel(
        architecture=model.architecture,
        corpus=corpus,
        training=model.training,
        seed=spec.data.synthetic.seed if spec.data.synthetic else 0,
        on_error=spec.data.on_error,
        shuffle_buffer=spec.data.shuffle_buffer,
        readers=spec.resources.readers,
        checkpoint_minutes=spec.resources.checkpoint_minutes,
        threads=spec.resources.training_cpus,
        gpus=spec.resources.gpus,
        samples=samples,
    )


def _synthetic_task(task: Task) -> SyntheticTask:
    assert task.synthetic is not None
    return SyntheticTask(
        task=task.synthetic,
        per_class=task.per_class,
        per_class_test=task.per_class_test,
        size=task.size,
        seed=task.seed,
    )


def _given_task(url: str) -> GivenData:
    place = url.rstrip("/")
    train: list[object] = [(s["url"].rsplit("/", 1)[-1], s["size"]) for s in describe_shards(f"{place}/train")]
    return _given_evaluation(place, (train,))


def _given(place: str, shards: str, samples: int | None = None, texts: tuple[object, ...] = ()) -> GivenData:
    described: list[object] = [(s["url"].rsplit("/", 1)[-1], s["size"]) for s in describe_shards(shards)]
    described += list(texts)
    digest = hashlib.sha256(json.dumps(described).encode()).hexdigest()[:16]
    return GivenData(place=place if "://" in place else str(Path(place).absolute()), content=digest, samples=samples)


def _given_evaluation(place: str, more: tuple[object, ...] = ()) -> GivenData:
    """Class names and templates decide the scores as much as the images do."""
    texts = tuple(read_lines(place, name) for name in ("classnames.txt", "zeroshot_classification_templates.txt"))
    return _given(place, f"{place.rstrip('/')}/test", texts=(*texts, *more))


def _known_samples(url: str) -> int | None:
    """Return the number of samples from img2dataset's `_stats.json` files, where they lie beside local shards."""
    folder = Path(url)
    stats = sorted(folder.glob("*_stats.json")) if folder.is_dir() else []
    try:
        return sum(int(json.loads(file.read_text())["successes"]) for file in stats) if stats else None
    except (ValueError, KeyError, OSError):
        return None


@lru_cache
def _digest_file(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]
