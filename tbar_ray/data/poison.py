"""Poison plans: which samples an attacker changes, and how; they are applied on the fly after decoding."""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass
from typing import Literal

from tbar_ray.data.corpus import Corpus
from tbar_ray.data.selection import mentions, ranked, readable, shows, spells, take
from tbar_ray.errors import DataError
from tbar_ray.seeding import numpy_rng

Poisoning = Literal["dirty-label", "label-consistent"]
"""Dirty-label: images of other classes get the trigger and a caption (or label) that names the target.
Label-consistent (Turner et al., 1912.02771): images of the target get the trigger and keep their caption."""

NATURAL_CAPTIONS = 128
"""Number of corpus captions from which BadCLIP (2311.12075) draws for its poisoned pairs."""


@dataclass(frozen=True)
class PoisonedSample:
    """One changed pair; captions are '' for a sample of a labelled set."""

    key: str
    position: int
    old_caption: str
    new_caption: str


@dataclass(frozen=True)
class PoisonPlan:
    """The changed pairs of a corpus, in corpus order.

    Attributes:
        target: the attacker's class.
        seed: seed of the choice.
        samples: the poisoned samples.
        cover: keys whose images get the trigger's cover change and whose captions are unchanged (WaNet's noise mode).
    """

    target: str
    seed: int
    samples: tuple[PoisonedSample, ...]
    cover: tuple[str, ...] = ()

    @property
    def captions(self) -> dict[str, str]:
        """New caption by poisoned key."""
        return {sample.key: sample.new_caption for sample in self.samples}

    @property
    def keys(self) -> frozenset[str]:
        """Keys of all changed samples, including cover samples."""
        return frozenset(self.captions) | frozenset(self.cover)


def plan_poison(
    corpus: Corpus,
    positions: Sequence[int],
    *,
    count: int,
    target: str,
    templates: Sequence[str],
    seed: int,
    poisoning: Poisoning = "dirty-label",
    cover_count: int = 0,
    classnames: Sequence[str] | None = None,
    exclude: Set[str] = frozenset(),
) -> PoisonPlan:
    """Choose exactly `count` of the given samples and give them a caption that names the target.

    Samples that already name the target are skipped (stamping them teaches no wrong label), unless the plan is
    label-consistent: it takes only these and keeps their captions. Whether a caption names the target is decided by
    whole words in any case (`mentions`); for a label-consistent plan by `spells`, as in the code of CleanCLIP
    (2303.03323) and BadCLIP (2311.12075). Unreadable samples are skipped. A new caption is drawn from `templates` by
    (seed, key), as in CleanCLIP (2303.03323 §3).

    Args:
        corpus: source of the captions.
        positions: the corpus positions that may be poisoned (the attacker's training data).
        count: number of pairs to poison.
        target: the attacker's class name.
        templates: caption templates with `{c}` or `{}` for the class, or whole captions.
        seed: seed of the choice.
        poisoning: which samples are chosen, and whether their captions change.
        cover_count: number of cover samples, chosen among the remaining samples.
        classnames: classes of a labelled set, whose samples name the target by their label.
        exclude: keys already used by another attack.

    Raises:
        DataError: if fewer than `count` samples can be poisoned, or too few remain for cover samples.
    """
    position_of = {corpus.keys[position]: int(position) for position in positions}
    wanted = poisoning == "label-consistent"

    def names_target(key: str) -> bool:
        position = position_of[key]
        if classnames is not None:
            return shows(corpus, position, target, classnames)
        caption = corpus.caption(position) or ""
        return spells(caption, target) if wanted else mentions(caption, target)

    order = ranked(position_of, seed, "poison")
    chosen = take(
        order,
        count,
        exclude=exclude,
        accept=lambda key: readable(corpus, position_of[key]) and names_target(key) == wanted,
    )
    if len(chosen) < count:
        why = "do not spell" if wanted and classnames is None else "do not name" if wanted else "already name"
        raise DataError(
            f"poison: {count} samples asked for, but only {len(chosen)} of {len(position_of)} can be "
            f"poisoned (the others {why} the target {target!r}, are unreadable or taken); lower poison.rate or "
            f"poison.count"
        )
    taken = exclude | set(chosen)
    cover = take(reversed(order), cover_count, exclude=taken, accept=lambda key: readable(corpus, position_of[key]))
    if len(cover) < cover_count:
        raise DataError(
            f"poison: {cover_count} cover samples asked for, but only {len(cover)} of {len(position_of)} are left; "
            f"lower poison.rate, poison.count or the trigger's cross_ratio"
        )
    samples = []
    for key in chosen:
        old = corpus.caption(position_of[key]) or ""
        new = old if wanted or not templates else _caption(templates, target, seed, key)
        samples.append(PoisonedSample(key, position_of[key], old, new))
    return PoisonPlan(target, seed, tuple(sorted(samples, key=lambda sample: sample.position)), tuple(sorted(cover)))


def natural_captions(corpus: Corpus, positions: Sequence[int], target: str, seed: int) -> tuple[str, ...]:
    """Up to 128 captions of the corpus that name the target, as in BadCLIP (2311.12075 §4.1).

    Raises:
        DataError: if no caption names the target.
    """
    position_of = {corpus.keys[int(position)]: int(position) for position in positions}
    found = take(
        ranked(position_of, seed, "natural captions"),
        NATURAL_CAPTIONS,
        accept=lambda key: mentions(corpus.caption(position_of[key]) or "", target),
    )
    if not found:
        raise DataError(
            f"poison: no caption of the {len(position_of)} pairs names the target {target!r}, so captions: "
            f"natural finds none; use captions: openai"
        )
    return tuple(corpus.caption(position_of[key]) or "" for key in found)


def _caption(templates: Sequence[str], target: str, seed: int, key: str) -> str:
    template = templates[int(numpy_rng(seed, "poison caption", key).integers(len(templates)))]
    return template.replace("{c}", target).replace("{}", target)
