"""A defender's data and knowledge: forget set, clean pairs, suspicious training pairs, trigger and target."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from tbar_ray.data.samples import ADD_LABELS
from tbar_ray.errors import DataError
from tbar_ray.models.tokenizer import Tokenizer

Need = Literal["trigger", "target", "forget set", "clean pairs", "training pairs"]
"""What a method cannot work without."""
CleanSet = Literal["clean pairs", "forget set"]
"""A set of a defender's that has clean images, or may have some."""


@dataclass(frozen=True)
class ForgetSet:
    """The defender's images, already stamped where they are triggered.

    Attributes:
        images: uint8 [N, 3, H, W].
        twins: uint8 [N, 3, H, W], the same images before stamping; equal to `images` where they are not triggered.
        tokens: int [N, context length], captions (those of triggered images name the target).
        labels: int64 [N]: the target for triggered images, the true class for clean ones; −1 if unknown.
        triggered: bool [N].
    """

    images: Tensor
    twins: Tensor
    tokens: Tensor
    labels: Tensor
    triggered: Tensor

    def require_labels(self, method: str) -> Tensor:
        """Labels int64 [N], none of them unknown.

        Raises:
            DataError: if a clean image has none.
        """
        if bool((self.labels < 0).any()):
            raise DataError(
                f"{method}: clean forget images have no class label, which classification needs; "
                f"set unlearning.parameters.objective: contrastive, or {ADD_LABELS}"
            )
        return self.labels


@dataclass(frozen=True)
class Pairs:
    """Image–caption pairs; of a labelled set the captions are the classes in a template.

    Attributes:
        images: uint8 [N, 3, H, W].
        captions: N texts.
        tokens: int [N, context length].
        labels: int64 [N], the true classes; −1 if unknown.
    """

    images: Tensor
    captions: tuple[str, ...]
    tokens: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.images)

    def require_labels(self, method: str) -> Tensor:
        """Labels int64 [N], none of them unknown.

        Raises:
            DataError: if a pair has none.
        """
        if bool((self.labels < 0).any()):
            raise DataError(
                f"{method}: the defender's pairs have no class labels, which classification needs; {ADD_LABELS}"
            )
        return self.labels


@dataclass(frozen=True)
class Classes:
    """The classes that the model is used for.

    Attributes:
        names: C class names.
        prompts: int [C, T, context length], every class in every template.
        head: float [C, D], the infected model's zero-shot head on its device.
    """

    names: tuple[str, ...]
    prompts: Tensor
    head: Tensor


@dataclass(frozen=True)
class DefenderData:
    """Everything that a method may use; what it does not need may be None.

    Attributes:
        classes: the zero-shot classes.
        tokenizer: the model's.
        forget: triggered images, with clean ones mixed in if requested.
        clean: pairs that the defender trusts.
        training: pairs as the attacker trained on them, with the poisoned ones among them, unmarked.
        target: index of the attacker's class.
        stamp: stamps uint8 images [N, 3, H, W] with the trigger; the i-th of a call gets the i-th draw.
    """

    classes: Classes
    tokenizer: Tokenizer
    forget: ForgetSet | None = None
    clean: Pairs | None = None
    training: Pairs | None = None
    target: int | None = None
    stamp: Callable[[Tensor], Tensor] | None = None

    def lacks(self) -> dict[Need, str]:
        """Needs that these data do not meet, each with the way to provide it."""
        what: dict[Need, tuple[object, str]] = {
            "trigger": (self.stamp, "list 'trigger' in defender.knows"),
            "target": (self.target, "list 'target' in defender.knows"),
            "forget set": (self.forget, "the forget set needs the trigger and the target"),
            "clean pairs": (self.clean, "set defender.clean_pairs"),
            "training pairs": (self.training, "set defender.training_pairs"),
        }
        return {need: advice for need, (there, advice) in what.items() if there is None}

    @property
    def counts(self) -> dict[str, int]:
        """Images of each kind (forget, clean, training) that there is, for the record of costs."""
        parts = (("forget", self.forget), ("clean", self.clean), ("training", self.training))
        return {name: len(part.images) for name, part in parts if part is not None}
