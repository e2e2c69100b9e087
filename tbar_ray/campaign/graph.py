"""From a spec and a trial to the graph of stages that answers it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from tbar_ray.campaign.backdoor import Backdoor
from tbar_ray.campaign.spec import CampaignSpec
from tbar_ray.campaign.stages.alpha_path import AlphaPath
from tbar_ray.campaign.stages.data import GivenData, Located, SyntheticCorpus, SyntheticEvaluation
from tbar_ray.campaign.stages.evaluate import AttackGate, Evaluate
from tbar_ray.campaign.stages.models import CleanModel, ModelNode, PretrainedModel
from tbar_ray.campaign.stages.poison import InfectedModel
from tbar_ray.campaign.stages.unlearn import Unlearn
from tbar_ray.campaign.trial import Trial
from tbar_ray.data.evaluation_set import read_lines
from tbar_ray.data.locate import describe_shards


@dataclass(frozen=True)
class TrialGraph:
    """A trial's last stage, and the scores that it is compared with."""

    path: AlphaPath
    clean: Evaluate
    infected: Evaluate


@dataclass(frozen=True)
class Foundation:
    """What every trial of a campaign shares."""

    corpus: Located
    evaluation: Located
    clean: ModelNode
    samples: int | None


def lay_foundation(spec: CampaignSpec) -> Foundation:
    """Return the data and the clean model.

    Raises:
        DataError: if given shards do not exist.
    """
    corpus: Located
    evaluation: Located
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
    else:
        assert spec.data.train is not None
        assert spec.data.evaluation is not None
        samples = _known_samples(spec.data.train)
        corpus = _given(spec.data.train, spec.data.train, samples)
        evaluation = _given_evaluation(spec.data.evaluation)
    return Foundation(corpus, evaluation, _clean_model(spec, corpus, samples), samples)


def build_graph(spec: CampaignSpec, trial: Trial, base: Foundation) -> TrialGraph:
    """Return the stages of a trial; equal parts of two trials are equal objects."""
    attack = spec.attacks[trial.attack]
    resources, poison = spec.resources, spec.poison
    backdoor = Backdoor(trigger=attack.trigger, parameters=attack.parameters, seed=trial.seed, target=attack.target)
    infected = InfectedModel(
        attack=trial.attack,
        architecture=spec.model.architecture,
        clean=base.clean,
        corpus=base.corpus,
        evaluation=base.evaluation,
        backdoor=backdoor,
        rate=trial.poisoning_rate,
        count=poison.count,
        pairs=poison.pairs,
        captions=poison.captions,
        training=poison.training,
        seed=trial.seed,
        on_error=spec.data.on_error,
        readers=resources.readers,
        threads=resources.training_cpus,
        gpus=resources.gpus,
        samples=base.samples,
    )
    scores = {
        role: Evaluate(
            role=role,
            model=model,
            evaluation=base.evaluation,
            backdoor=backdoor,
            validation_fraction=spec.evaluation.validation_fraction,
            max_images=spec.evaluation.max_images,
            split_seed=spec.seed,
            threads=resources.trial_cpus,
            gpus=resources.gpus,
        )
        for role, model in (("clean", base.clean), ("infected", infected))
    }
    gate = AttackGate(
        clean=scores["clean"],
        infected=scores["infected"],
        min_asr=poison.min_asr,
        max_ca_drop=poison.max_ca_drop,
    )
    parameters = dict(spec.unlearning.parameters)
    if trial.learning_rate is not None:
        parameters["learning_rate"] = trial.learning_rate
    unlearn = Unlearn(
        gate=gate,
        infected=infected,
        corpus=base.corpus,
        evaluation=base.evaluation,
        method=trial.method,
        parameters=parameters,
        forget_size=trial.forget_size,
        clean_fraction=trial.clean_fraction,
        seed=trial.seed,
        threads=resources.trial_cpus,
        gpus=resources.gpus,
    )
    path = AlphaPath(
        unlearn=unlearn,
        infected=scores["infected"],
        alphas=trial.alphas,
        min_retention=spec.evaluation.min_retention,
        max_asr=spec.evaluation.max_asr,
        threads=resources.trial_cpus,
        gpus=resources.gpus,
    )
    return TrialGraph(path, scores["clean"], scores["infected"])


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
        readers=spec.resources.readers,
        threads=spec.resources.training_cpus,
        gpus=spec.resources.gpus,
        samples=samples,
    )


def _given(place: str, shards: str, samples: int | None = None, texts: tuple[object, ...] = ()) -> GivenData:
    described: list[object] = [(s["url"].rsplit("/", 1)[-1], s["size"]) for s in describe_shards(shards)]
    described += list(texts)
    digest = hashlib.sha256(json.dumps(described).encode()).hexdigest()[:16]
    return GivenData(place=place if "://" in place else str(Path(place).absolute()), content=digest, samples=samples)


def _given_evaluation(place: str) -> GivenData:
    """Class names and templates decide the scores as much as the images do."""
    texts = tuple(read_lines(place, name) for name in ("classnames.txt", "zeroshot_classification_templates.txt"))
    return _given(place, f"{place.rstrip('/')}/test", texts=texts)


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
