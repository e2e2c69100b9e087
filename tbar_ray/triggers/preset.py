"""The record type of a preset; `presets` lists all of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """One attack of one paper.

    Attributes:
        name: `<paper>/<attack>`.
        trigger: name of the trigger (`registry.TRIGGERS`).
        parameters: all trigger constants fixed by the paper; the user chooses the seed.
        poisoning: "dirty-label": poisoned samples get the target's caption or label. "label-consistent": samples of the
            target class are stamped and keep their captions.
        captions: poisoned captions: OpenAI's 80 ImageNet templates, natural captions that name the target, or None
            if the attack is published on a classifier or changes no caption.
        target: the target class named in the paper; None if any class will do.
        source: the paper and the origin of the constants.
        note: deviations from the published attack and other remarks for the user; '' if none.
    """

    name: str
    trigger: str
    parameters: Mapping[str, object]
    poisoning: Literal["dirty-label", "label-consistent"] = "dirty-label"
    captions: Literal["openai", "natural"] | None = None
    target: str | None = None
    source: str
    note: str = ""
