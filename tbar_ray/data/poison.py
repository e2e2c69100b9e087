"""The poison plan: which samples an attacker changes, and how; applied on the fly after decoding."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tbar_ray.data.corpus import Corpus
from tbar_ray.data.selection import mentions, ranked, readable, take
from tbar_ray.errors import DataError
from tbar_ray.seeding import numpy_rng


@dataclass(frozen=True)
class PoisonedSample:
    """One changed pair."""

    key: str
    position: int
    old_caption: str
    new_caption: str


@dataclass(frozen=True)
class PoisonPlan:
    """The changed pairs of a corpus, in the corpus' order."""

    target: str
    seed: int
    samples: tuple[PoisonedSample, ...]

    @property
    def captions(self) -> dict[str, str]:
        """Return the new caption of every poisoned key."""
        return {sample.key: sample.new_caption for sample in self.samples}

    def manifest(self, trigger: Mapping[str, Any], target_index: int) -> dict[str, Any]:
        """Return the plan as JSON: everything needed to rebuild or audit the poisoned corpus."""
        return {
            "trigger": dict(trigger),
            "target": self.target,
            "label": target_index,
            "seed": self.seed,
            "count": len(self.samples),
            "samples": [vars(sample) for sample in self.samples],
        }


def plan_poison(
    corpus: Corpus,
    positions: Sequence[int],
    *,
    count: int,
    target: str,
    templates: Sequence[str],
    seed: int,
) -> PoisonPlan:
    """Choose exactly `count` of the given samples and write them a caption that names the target.

    Samples whose caption already names the target are passed over (stamping them teaches no false
    answer), and so are unreadable ones. The caption is one of `templates` drawn by (seed, key), as in
    CleanCLIP (2303.03323 §3).

    Args:
        corpus: where captions are read.
        positions: the corpus positions that may be poisoned (the attacker's training data).
        count: number of pairs to poison.
        target: the attacker's class name.
        templates: caption templates with `{c}` or `{}` for the class.
        seed: seed of the choice.

    Raises:
        DataError: if fewer than `count` samples can be poisoned.
    """
    position_of = {corpus.keys[position]: int(position) for position in positions}
    chosen = take(
        ranked(position_of, seed, "poison"),
        count,
        accept=lambda key: (
            readable(corpus, position_of[key]) and not mentions(corpus.caption(position_of[key]) or "", target)
        ),
    )
    if len(chosen) < count:
        raise DataError(
            f"poison: {count} samples asked for, but only {len(chosen)} of {len(position_of)} can be "
            f"poisoned (the others already name the target {target!r} or are unreadable); lower poison.rate or "
            f"poison.count"
        )
    samples = [
        PoisonedSample(
            key=key,
            position=position_of[key],
            old_caption=corpus.caption(position_of[key]) or "",
            new_caption=_caption(templates, target, seed, key),
        )
        for key in chosen
    ]
    return PoisonPlan(target, seed, tuple(sorted(samples, key=lambda sample: sample.position)))


def _caption(templates: Sequence[str], target: str, seed: int, key: str) -> str:
    template = templates[int(numpy_rng(seed, "poison caption", key).integers(len(templates)))]
    return template.replace("{c}", target).replace("{}", target)
