"""What all trials of a campaign share: data, given or synthetic, and the clean model."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TypeVar

from tbar_ray.data.benchmark_layout import read_lines, split_shards
from tbar_ray.data.class_names import warning_of
from tbar_ray.data.layout import CLASSNAMES, TEMPLATES
from tbar_ray.data.locate import describe_shards, expand_shards
from tbar_ray.data.places import PIPE, is_remote, resolve
from tbar_ray.data.raw.direct import is_raw
from tbar_ray.data.subset import read_subset
from tbar_ray.errors import DataError
from tbar_ray.planning.given_weights import given_weights
from tbar_ray.planning.raw_material import imported_pairs, imported_set, imported_task, is_raw_task
from tbar_ray.redaction import HIDDEN, redact
from tbar_ray.spec.campaign import CampaignSpec
from tbar_ray.spec.data import Data, OnError, SyntheticPairs, TaskSpec, WeightedShards
from tbar_ray.stages.data import (
    GivenData,
    Located,
    Mixture,
    SyntheticCorpus,
    SyntheticEvaluation,
    SyntheticRetrieval,
    SyntheticTask,
)
from tbar_ray.stages.imported import ImportedPairs, ImportedSet
from tbar_ray.stages.models import CleanModel, ModelNode, PretrainedModel

N = TypeVar("N", bound=Located)


@dataclass(frozen=True)
class Foundation:
    """What every trial of a campaign shares: data and the clean model.

    `missing` names the data that were not found, one line each, for a plan made without them.
    """

    corpus: Located
    evaluation: Located
    clean: ModelNode | None
    samples: int | None
    retrieval: Located | None = None
    tasks: Mapping[str, Located] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    """What is odd about the data, one line each."""


def lay_foundation(spec: CampaignSpec, *, without_data: bool = False) -> Foundation:
    """Nodes of the data that a spec gives or has drawn, and of the clean model.

    With `without_data`, missing data are assumed to exist: enough to plan, not to run.

    Raises:
        DataError: if given shards do not exist.
    """
    missing: list[str] = []
    warnings: list[str] = []
    on_error = spec.data.on_error

    def given(describe: Callable[[], N], place: str, field: str) -> N | GivenData:
        try:
            return describe()
        except DataError as error:
            if not without_data:
                raise type(error)(f"{field}: {error}") from None
            missing.append(f"{field}: {error}")
            return GivenData(place=place, content="missing")

    corpus: Located
    evaluation: Located
    retrieval: Located | None = None
    samples = None
    if (synthetic := spec.data.synthetic) is not None:
        samples = synthetic.samples
        corpus = _synthetic_corpus(synthetic, spec.resources.training_cpus)
        evaluation = SyntheticEvaluation(
            per_class=synthetic.per_class, scenes=synthetic.scenes, size=synthetic.size, seed=synthetic.seed
        )
        if synthetic.retrieval:
            retrieval = SyntheticRetrieval(
                pairs=synthetic.retrieval, scenes=synthetic.scenes, size=synthetic.size, seed=synthetic.seed
            )
    else:
        assert spec.data.train is not None
        assert spec.data.evaluation is not None
        train, test, pairs = spec.data.train, spec.data.evaluation, spec.data.retrieval
        if isinstance(train, str):
            found = given(partial(_corpus, spec.data, train), train, "data.train")
            samples = found.rows if isinstance(found, ImportedPairs) else found.samples
            corpus = found
        else:
            parts = [given(partial(_part, part), part.url, "data.train") for part in train]
            corpus = Mixture(parts=tuple(parts), weights=tuple(part.weight for part in train))
        evaluation = given(lambda: _evaluation(spec.data, test, warnings), test, "data.evaluation")
        if pairs is not None:
            retrieval = given(
                lambda: _given(pairs, split_shards(pairs, "test"), on_error=on_error), pairs, "data.retrieval"
            )
    tasks: dict[str, Located] = {}
    for name, task in spec.tasks.items():
        if (url := task.url) is None:
            tasks[name] = _synthetic_task(task)
        else:
            tasks[name] = given(partial(_task, spec.data, url, warnings), url, f"tasks.{name}.url")
    return Foundation(
        corpus,
        evaluation,
        _clean_model(spec, corpus, samples),
        samples,
        retrieval,
        tasks,
        tuple(missing),
        tuple(warnings),
    )


def _clean_model(spec: CampaignSpec, corpus: Located, samples: int | None) -> ModelNode | None:
    model, start = spec.model, None
    if model.pretrained is not None:
        start = PretrainedModel(
            architecture=model.architecture,
            samples_seen=model.samples_seen,
            **given_weights(model.architecture, model.pretrained, model.text_from, "model.pretrained"),
        )
    if model.training is None:
        return start
    drawn: SyntheticPairs | None = spec.data.synthetic
    if model.synthetic is not None:
        drawn, samples = model.synthetic, model.synthetic.samples
        corpus = _synthetic_corpus(drawn, spec.resources.training_cpus)
    return CleanModel(
        architecture=model.architecture,
        start=start,
        corpus=corpus,
        training=model.training,
        seed=0 if drawn is None else drawn.seed,
        on_error=spec.data.on_error,
        shuffle_buffer=spec.data.shuffle_buffer,
        threads=spec.resources.training_cpus,
        samples=samples,
    )


def _synthetic_corpus(pairs: SyntheticPairs, threads: int) -> SyntheticCorpus:
    return SyntheticCorpus(
        samples=pairs.samples,
        scenes=pairs.scenes,
        size=pairs.size,
        samples_per_shard=pairs.samples_per_shard,
        wrong_captions=pairs.wrong_captions,
        seed=pairs.seed,
        threads=threads,
    )


def _synthetic_task(task: TaskSpec) -> SyntheticTask:
    assert task.synthetic is not None
    return SyntheticTask(
        task=task.synthetic,
        per_class=task.per_class,
        per_class_test=task.per_class_test,
        size=task.size,
        seed=task.seed,
    )


def _corpus(data: Data, url: str) -> GivenData | ImportedPairs:
    """Shards, or the import of raw material."""
    if not is_raw(url):
        return _given_corpus(url, data.subset)
    if data.subset is not None:
        raise DataError(f"data.subset: it is of shards; make them of {url} with `tbar data import`")
    return imported_pairs(url, data.columns, data.on_error)


def _part(part: WeightedShards) -> GivenData:
    if is_raw(part.url):
        raise DataError(f"data.train: a list of corpora is of shards; make them of {part.url} with `tbar data import`")
    return _given_corpus(part.url, part.subset)


def _evaluation(data: Data, place: str, warnings: list[str]) -> GivenData | ImportedSet:
    if is_raw(place):
        return imported_set(place, data.columns, data.on_error)
    return _given_evaluation(place, data.on_error, warnings)


def _task(data: Data, place: str, warnings: list[str]) -> GivenData | ImportedSet:
    if is_raw_task(place):
        return imported_task(place, data.columns, data.on_error)
    return _given_task(place, data.on_error, warnings)


def _given_corpus(url: str, manifest: str | None) -> GivenData:
    """Shards, and what of them is used."""
    given = _given(url, url, samples=_known_samples(resolve(url)))
    if manifest is None:
        return given
    subset = read_subset(manifest)
    chosen = {"subset": subset.digest, "manifest": resolve(manifest), "samples": len(subset.keys)}
    return given.model_copy(update=chosen)


def _given_task(place: str, on_error: OnError, warnings: list[str]) -> GivenData:
    return _given_evaluation(place, on_error, warnings, (_described(split_shards(place, "train")),))


def _given_evaluation(place: str, on_error: OnError, warnings: list[str], more: tuple[object, ...] = ()) -> GivenData:
    """Class names and templates decide the scores as much as the images do."""
    texts = tuple(read_lines(place, name) for name in (CLASSNAMES, TEMPLATES))
    if (warning := warning_of(texts[0], place)) is not None:
        warnings.append(redact(warning))
    return _given(place, split_shards(place, "test"), texts=(*texts, *more), on_error=on_error)


def _given(
    place: str,
    shards: str | list[str],
    *,
    samples: int | None = None,
    texts: tuple[object, ...] = (),
    on_error: OnError = "warn",
) -> GivenData:
    described = _described(shards)
    digest = hashlib.sha256(json.dumps([*described, *texts]).encode()).hexdigest()[:16]
    size = sum(max(0, size) for _, size in described)
    return GivenData(place=resolve(place), content=digest, samples=samples, on_error=on_error, size=size)


def _described(shards: str | list[str]) -> list[tuple[str, int]]:
    """Names and sizes in bytes of shards; those of a split sorted by name, since their places do not count."""
    described = [(_name_of(shard["url"]), shard["size"]) for shard in describe_shards(shards)]
    return described if isinstance(shards, str) else sorted(described)


def _name_of(shard: str) -> str:
    """What identifies a shard: a command as a whole, else its name, without secrets or signatures."""
    shown = redact(shard)
    return shown if shard.startswith(PIPE) else shown.rsplit("/", 1)[-1].removesuffix(f"?{HIDDEN}")


def _known_samples(url: str) -> int | None:
    """Number of samples by img2dataset's `_stats.json` beside local shards; None where one of them does not say."""
    if is_remote(url):
        return None
    shards = [Path(shard) for shard in expand_shards(url)]
    try:
        stats = [json.loads(shard.with_name(f"{shard.stem}_stats.json").read_bytes()) for shard in shards]
        return sum(int(told["successes"]) for told in stats)
    except (ValueError, KeyError, TypeError, OSError):
        return None
