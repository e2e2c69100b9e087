"""Whether a campaign's pairs have the class labels that its methods read, found out before anything is computed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from tbar_ray.data.corpus import Corpus
from tbar_ray.data.locate import expand_shards
from tbar_ray.data.raw.direct import is_raw, open_pairs
from tbar_ray.data.samples import ADD_LABELS
from tbar_ray.errors import DataError, SpecError
from tbar_ray.planning.methods import build_method
from tbar_ray.spec.campaign import CampaignSpec
from tbar_ray.spec.data import Data, TableColumns

LOOKED_AT: Final = 64
"""Pairs of the first shard that are looked at."""


def have_labels(data: Data) -> bool | None:
    """Whether one of the first pairs has a class label; None if they cannot be read."""
    if data.train is None:
        return data.synthetic is not None
    if isinstance(data.train, str) and is_raw(data.train):
        return open_pairs(data.train, (data.columns or TableColumns()).named())[1].label is not None
    try:
        shards = expand_shards(data.train if isinstance(data.train, str) else [part.url for part in data.train])
        corpus = Corpus.open(shards[0])
        return any(corpus.label(position) is not None for position in range(min(len(corpus), LOOKED_AT)))
    except DataError:
        return None


def check_labels(spec: CampaignSpec, methods: Sequence[str]) -> None:
    """Refuse what needs class labels that the pairs do not have. A task's images have some.

    Raises:
        SpecError: one line with the field and what to do.
    """
    if all(attack.task is not None for attack in spec.attacks.values()):
        return
    wanted = [field for field in (_wanted_by(spec, method) for method in methods) if field is not None]
    if (map_ := spec.disentanglement) is not None and map_.clean_fraction > 0:
        wanted.append(
            "disentanglement.clean_fraction: the trigger's vector needs clean samples with a class label, and the "
            "pairs at data.train have none; set it to 0"
        )
    if wanted and have_labels(spec.data) is False:
        raise SpecError(wanted[0])


def _wanted_by(spec: CampaignSpec, name: str) -> str | None:
    """What is wrong with a method if no pair has a label; None if it reads none."""
    method = build_method(spec, name)
    if method.reads_labels:
        return (
            f"method {name!r} reads class labels of the defender's clean pairs, and the pairs at data.train have "
            f"none; {ADD_LABELS}, or leave it out"
        )
    if method.classifies_forget_set and spec.forget.clean_fraction > 0:
        return (
            f"forget.clean_fraction: method {name!r} classifies clean forget images, and the pairs at data.train "
            f"have no class labels; set its objective to contrastive, if it has that, or {ADD_LABELS}"
        )
    return None
