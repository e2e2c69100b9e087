"""What a preset says of an attack; those there are stand in `presets`."""

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
        parameters: all constants of the trigger that the paper fixes; its seed is left to the user.
        poisoning: whether captions or labels of poisoned samples become the target's ("dirty-label"), or samples of
            the target are stamped and keep them ("label-consistent").
        captions: poisoned captions: OpenAI's 80 ImageNet templates, natural captions that name the target, or None
            where the attack is published on a classifier or changes no caption.
        target: the target class as the paper names it; None where any will do.
        source: the paper and where the constants come from.
        note: what a user should know, above all what is not as published; '' if nothing.
    """

    name: str
    trigger: str
    parameters: Mapping[str, object]
    poisoning: Literal["dirty-label", "label-consistent"] = "dirty-label"
    captions: Literal["openai", "natural"] | None = None
    target: str | None = None
    source: str
    note: str = ""
