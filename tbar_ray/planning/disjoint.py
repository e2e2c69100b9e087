"""Sets of a campaign that must have no image in common: what is trained on, and what is scored.

By construction no sample is poisoned twice, and no forget set has a poisoned sample. Given sets may still share images.
Here that is looked for cheaply: the same shards are refused, and of small local sets a few images are compared.
`tbar data overlap` compares all.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from tbar_ray.data.benchmark_layout import open_split, split_shards
from tbar_ray.data.corpus import Corpus
from tbar_ray.data.image_hashes import image_hashes
from tbar_ray.data.layout import SplitName
from tbar_ray.data.locate import expand_shards
from tbar_ray.data.places import is_remote
from tbar_ray.data.raw.direct import is_raw
from tbar_ray.data.selection import evenly_spaced
from tbar_ray.data.subset import read_subset
from tbar_ray.errors import SpecError
from tbar_ray.planning.raw_material import is_raw_task
from tbar_ray.redaction import redact
from tbar_ray.spec.campaign import CampaignSpec
from tbar_ray.spec.data import WeightedShards

PROBES = 200
"""Images of a scored set that are looked for among those trained on."""
SMALL = 300_000_000
"""Bytes of shards whose indexes are read for that: a second or two."""


def shared_images(spec: CampaignSpec) -> list[str]:
    """Lines that warn of images that are both trained on and scored.

    Raises:
        SpecError: if a shard is of both.
        DataError: if a set is missing.
    """
    return [line for train, scored, split in _pairs(spec) for line in _shared(spec, train, scored, split)]


def _pairs(spec: CampaignSpec) -> Iterator[tuple[str, str, SplitName]]:
    """(Field of the training samples, field of the scored set, its split), of given sets that need no import."""
    if spec.data.synthetic is None and not _any_raw(spec.data.train):
        if not _any_raw(spec.data.evaluation):
            yield "data.train", "data.evaluation", "test"
        if spec.data.retrieval is not None:
            yield "data.train", "data.retrieval", "test"
    for name, task in spec.tasks.items():
        if task.url is not None and not is_raw_task(task.url):
            yield f"tasks.{name}", f"tasks.{name}", "test"


def _any_raw(place: str | list[WeightedShards] | None) -> bool:
    return isinstance(place, str) and is_raw(place)


def _shared(spec: CampaignSpec, train: str, scored: str, split: SplitName) -> Iterator[str]:
    trained_on, place = _training_shards(spec, train), _place(spec, scored)
    shards = expand_shards(split_shards(place, split))
    if same := sorted(set(trained_on) & set(shards)):
        raise SpecError(f"{scored}: {redact(same[0])} is a shard of {train} too: what is trained on cannot be scored")
    if any(is_remote(shard) for shard in (*trained_on, *shards)) or _bytes([*trained_on, *shards]) > SMALL:
        return
    test, corpus = open_split(place, split), _training_samples(spec, train, trained_on)
    probes = evenly_spaced(len(test), PROBES)
    sizes = test.image_sizes()
    candidates = np.flatnonzero(np.isin(corpus.image_sizes(), sizes[probes]))
    known = set(image_hashes(corpus, candidates.tolist()).values())
    found = [position for position, digest in sorted(image_hashes(test, probes).items()) if digest in known]
    if found:
        yield (
            f"{scored}: {len(found)} of {len(probes)} images that were compared are also in {train} (first: "
            f"{test.name(found[0])}); `tbar data overlap` names all, `tbar data import --without` leaves them out"
        )


def _place(spec: CampaignSpec, field: str) -> str:
    section, _, name = field.partition(".")
    place = spec.tasks[name].url if section == "tasks" else getattr(spec.data, name)
    assert isinstance(place, str)
    return place


def _training_shards(spec: CampaignSpec, field: str) -> tuple[str, ...]:
    if field != "data.train":
        return expand_shards(split_shards(_place(spec, field), "train"))
    train = spec.data.train
    assert train is not None
    return expand_shards(train if isinstance(train, str) else [part.url for part in train])


def _training_samples(spec: CampaignSpec, field: str, shards: tuple[str, ...]) -> Corpus:
    corpus = Corpus.open(shards)
    manifest = spec.data.subset if field == "data.train" else None
    return corpus if manifest is None else read_subset(manifest).of(corpus, manifest, "warn")


def _bytes(shards: list[str]) -> int:
    return sum(Path(shard).stat().st_size for shard in shards)
