"""Requests for a forget set or pairs of a source. They are read when a method runs, at the model's image size."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from operator import index

from tbar_ray.api.sources import Labels, Source, open_samples
from tbar_ray.data.samples import Samples
from tbar_ray.errors import SpecError


@dataclass(frozen=True)
class ForgetRequest:
    """A forget set to be read; see `forget_set`."""

    samples: Samples
    size: int
    clean_fraction: float
    exclude: frozenset[str]
    seed: int | None


@dataclass(frozen=True)
class PairsRequest:
    """Image–caption pairs to be read; see `pairs`."""

    samples: Samples
    count: int
    exclude: frozenset[str]
    seed: int | None


def forget_set(
    source: Source,
    size: int = 300,
    clean_fraction: float = 0.0,
    *,
    labels: Labels | None = None,
    captions: Sequence[str] | None = None,
    exclude: Iterable[str] = (),
    seed: int | None = None,
) -> ForgetRequest:
    """Request a forget set: clean images, of which all but a share are stamped with the trigger.

    Images that show the target class, as far as labels or captions say, are not stamped. Give clean images: stamping is
    done here. With one seed, the triggered images of a smaller set are among those of a larger one.

    Args:
        source: shards, a folder of images, or an array [N, 3, H, W] (uint8, or float in [0, 1]).
        size: images, triggered and clean together.
        clean_fraction: share that is left clean, in [0, 1). Clean images need a class label for most methods: a
            subfolder, a `label` in the sample's json, or `labels`.
        labels: of an array: N class indices or names.
        captions: of an array: N texts.
        exclude: keys that are not to be used, e.g. `poisoned_keys(...)`.
        seed: seed of the choice; None for the seed of `estimate`.

    Raises:
        SpecError: if size or share are out of range.
        DataError: if the source has no samples.
    """
    if size < 1 or not 0 <= clean_fraction < 1:
        raise SpecError(f"forget set: size {size} must be at least 1 and clean_fraction {clean_fraction} in [0, 1)")
    return ForgetRequest(open_samples(source, labels, captions), size, clean_fraction, _keys(exclude), seed)


def pairs(
    source: Source,
    count: int | None = None,
    *,
    labels: Labels | None = None,
    captions: Sequence[str] | None = None,
    exclude: Iterable[str] = (),
    seed: int | None = None,
) -> PairsRequest:
    """Request image–caption pairs, for `clean=` or `training=` of `estimate`.

    A sample without a caption gets its class in a template.

    Args:
        source: as for `forget_set`.
        count: how many; None for all that are not excluded.
        labels: of an array: N class indices or names.
        captions: of an array: N texts.
        exclude: keys that are not to be used.
        seed: seed of the choice; None for the seed of `estimate`.

    Raises:
        SpecError: if `count` is out of range.
        DataError: if the source has no samples.
    """
    samples, left_out = open_samples(source, labels, captions), _keys(exclude)
    try:
        wanted = len([key for key in samples.keys if key not in left_out]) if count is None else index(count)
    except TypeError:
        raise SpecError(f"pairs: the count must be a whole number, not {count!r}") from None
    if wanted < 1:
        raise SpecError(f"pairs: the count must be at least 1, not {wanted}")
    return PairsRequest(samples, wanted, left_out, seed)


def _keys(exclude: Iterable[str]) -> frozenset[str]:
    """The keys; a single text is one that somebody forgot to put into a list, not the signs that it is made of."""
    if isinstance(exclude, str):
        raise SpecError(f"exclude: give a list of keys, as [{exclude!r}]")
    return frozenset(exclude)
