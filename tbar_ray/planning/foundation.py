"""What all trials of a campaign share: data, given or synthetic, and the clean model."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache, partial
from pathlib import Path

from tbar_ray.data.evaluation_set import read_lines
from tbar_ray.data.locate import describe_shards
from tbar_ray.errors import DataError
from tbar_ray.spec.campaign import CampaignSpec
from tbar_ray.spec.data import TaskSpec
from tbar_ray.stages.data import (
    GivenData,
    Located,
    Mixture,
    SyntheticCorpus,
    SyntheticEvaluation,
    SyntheticRetrieval,
    SyntheticTask,
)
from tbar_ray.stages.models import CleanModel, ModelNode, PretrainedModel


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


def lay_foundation(spec: CampaignSpec, *, without_data: bool = False) -> Foundation:
    """Return the data and the clean model.

    With `without_data`, missing data are assumed to exist: enough to plan, not to run.

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


def given_weights(weights: str) -> dict[str, str]:
    """Return the fields of a node of given weights, a file or a tag: place, and identity (tag or digest)."""
    if not Path(weights).is_file():
        return {"weights": weights, "content": f"tag {weights}"}
    return {"weights": str(Path(weights).absolute()), "content": _digest_file(Path(weights))}


def _clean_model(spec: CampaignSpec, corpus: Located, samples: int | None) -> ModelNode | None:
    model = spec.model
    if model.pretrained is not None:
        return PretrainedModel(architecture=model.architecture, **given_weights(model.pretrained))
    if model.training is None:
        return None
    return CleanModel(
        architecture=model.architecture,
        corpus=corpus,
        training=model.training,
        seed=spec.data.synthetic.seed if spec.data.synthetic else 0,
        on_error=spec.data.on_error,
        shuffle_buffer=spec.data.shuffle_buffer,
        threads=spec.resources.training_cpus,
        samples=samples,
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
    """Return the number of samples from img2dataset's `_stats.json` files, where these are beside local shards."""
    folder = Path(url)
    stats = sorted(folder.glob("*_stats.json")) if folder.is_dir() else []
    try:
        return sum(int(json.loads(file.read_text())["successes"]) for file in stats) if stats else None
    except (ValueError, KeyError, OSError):
        return None


def _digest_file(path: Path) -> str:
    """Return 16 hex digits of a file's SHA-256; a large file is read again only where it has changed."""
    about = path.stat()
    return _digest(path, about.st_size, about.st_mtime_ns, about.st_ino)


@lru_cache
def _digest(path: Path, *about: int) -> str:  # noqa: ARG001 - `about` tells versions of the file apart
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]
