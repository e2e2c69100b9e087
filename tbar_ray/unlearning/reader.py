"""A defender's data, read from samples: the forget set, clean pairs, and suspicious training pairs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np
import torch
from torch import Tensor

from tbar_ray.data.forget import ForgetPlan, plan_forget_set
from tbar_ray.data.images import load_image
from tbar_ray.data.keys import within
from tbar_ray.data.samples import ADD_LABELS, Samples
from tbar_ray.data.selection import mentions, ranked, readable, shows, take
from tbar_ray.errors import DataError, ShardChangedError
from tbar_ray.evaluation.class_prompts import ClassPrompts, filled
from tbar_ray.models.factory import Preprocessing
from tbar_ray.seeding import numpy_rng
from tbar_ray.triggers.base import Trigger, cover_uint8, stamp_uint8
from tbar_ray.unlearning.base import Unlearner
from tbar_ray.unlearning.defender import CleanSet, ForgetSet, Pairs

NAMESPACE: Final = "forget"
"""Namespace of the keys by which forget images are stamped."""


@dataclass(frozen=True)
class Planted:
    """What an attacker did to the samples of one backdoor; the defender sees only the outcome.

    Attributes:
        trigger: the trigger.
        target: name of the target class.
        label: its index.
        captions: the new caption of every poisoned sample by key; None where it is a template with the target.
        cover: keys of the samples that only the trigger's `cover` changed.
    """

    trigger: Trigger
    target: str
    label: int
    captions: Mapping[str, str | None]
    cover: Sequence[str] = ()


class DefenderReader:
    """Reads the data that a defender may use.

    Args:
        samples: the samples to read from.
        classes: the classes and templates; a sample without a caption gets one that is made from them.
        preprocess: size and normalisation of the model's input images.
        seed: of every choice and draw.
        numbered: whether the samples' own class indices number `classes` (a labelled task); else a sample's class is
            its label by name.
        labelled: of which of the two sets clean images must be of a known class, since the method classifies them.

    Attributes:
        keys: the keys of the samples that were read, by their use.
    """

    def __init__(
        self,
        samples: Samples,
        classes: ClassPrompts,
        preprocess: Preprocessing,
        seed: int,
        *,
        numbered: bool = False,
        labelled: Set[CleanSet] = frozenset(),
    ) -> None:
        self.samples = samples
        self.keys: dict[str, list[str]] = {}
        self._classes, self._preprocess, self._seed, self._numbered = classes, preprocess, seed, numbered
        self._labelled, self._refused = labelled, 0

    def plan(self, size: int, clean_fraction: float, target: str, exclude: Set[str] = frozenset()) -> ForgetPlan:
        """Choose the forget set.

        Raises:
            DataError: if there are too few samples.
        """
        self._refused = 0
        try:
            return plan_forget_set(
                self.samples,
                size=size,
                clean_fraction=clean_fraction,
                target=target,
                exclude=exclude,
                seed=self._seed,
                classnames=self._classes.names if self._numbered else None,
                clean=partial(self._may_be_clean, "forget set"),
            )
        except ShardChangedError:
            raise
        except DataError as error:
            raise DataError(f"{error}{self._labels_wanted}") from None

    def forget_set(self, plan: ForgetPlan, trigger: Trigger, target: str) -> ForgetSet:
        """Read, stamp and label the chosen images; captions of triggered ones name the target.

        The stamps' draws are of the defender's own keys. They are never those of a training image, even where another
        corpus, whose keys are the same, was poisoned.
        """
        stamped = [self.samples.keys[p] for p in plan.triggered]
        self.keys |= {"triggered": stamped, "clean": [self.samples.keys[p] for p in plan.clean]}
        positions = [*plan.triggered, *plan.clean]
        triggered = torch.arange(len(positions)) < len(plan.triggered)
        twins = self._images(positions)
        images = twins.clone()
        if stamped:
            images[triggered] = stamp_uint8(trigger, twins[triggered], [within(NAMESPACE, key) for key in stamped])
        labels = [self._classes.names.index(target)] * len(plan.triggered)
        labels += [self._true_class(position) for position in plan.clean]
        captions = [self._named(p, target) for p in plan.triggered]
        captions += [self._caption(p, label) for p, label in zip(plan.clean, labels[len(stamped) :], strict=True)]
        return ForgetSet(images, twins, self._classes.tokenizer(captions), torch.tensor(labels), triggered)

    def clean_pairs(self, count: int, exclude: Set[str] = frozenset()) -> Pairs:
        """Read pairs that are not among those to exclude, of a known class where they must be.

        Raises:
            DataError: if there are too few.
        """
        return self._pairs(
            self._choose(self.samples.keys, count, "clean pairs", exclude, partial(self._may_be_clean, "clean pairs"))
        )

    def training_pairs(
        self, count: int, trained: Sequence[str] | None = None, planted: Sequence[Planted] = ()
    ) -> Pairs:
        """Read pairs as the attacker trained on them.

        Args:
            count: how many.
            trained: the keys that were trained on; None for all.
            planted: what was planted where the samples themselves are clean: they are stamped and renamed, and not
                marked.

        Raises:
            DataError: if there are too few.
        """
        keys = self.samples.keys if trained is None else trained
        chosen = self._choose(keys, count, "training pairs", frozenset())
        pairs = self._pairs(chosen)
        row_of = {self.samples.keys[position]: row for row, position in enumerate(chosen)}
        images, captions, labels = pairs.images, list(pairs.captions), pairs.labels
        for plant in planted:
            poisoned = [key for key in plant.captions if key in row_of]
            cover = [key for key in plant.cover if key in row_of]
            for changed, change in ((poisoned, stamp_uint8), (cover, cover_uint8)):
                if changed:
                    rows = [row_of[key] for key in changed]
                    images[rows] = change(plant.trigger, images[rows], changed)
            for key in poisoned:
                row = row_of[key]
                labels[row] = plant.label
                captions[row] = plant.captions[key] or self._named(chosen[row], plant.target)
        return Pairs(images, tuple(captions), self._classes.tokenizer(captions), labels)

    def pairs_of(self, keys: Sequence[str]) -> Pairs:
        """Read given pairs, in the order of their keys."""
        return self._pairs([self.samples.index_of(key) for key in keys])

    def names(self, position: int, target: str) -> bool:
        """Whether a sample is of a class, or its caption names it beside others."""
        classnames = self._classes.names if self._numbered else None
        own = self.samples.caption(position) or ""
        return shows(self.samples, position, target, classnames) or mentions(own, target)

    @property
    def _labels_wanted(self) -> str:
        """What to add to a complaint of too few samples: what those need that the present choice has refused."""
        if not self._refused:
            return ""
        return (
            ". The method classifies clean images, of which only those count whose class label is one of the classes: "
            f"{ADD_LABELS}, or set the method's objective to contrastive if it has one"
        )

    def _may_be_clean(self, use: CleanSet, position: int) -> bool:
        known = use not in self._labelled or self._true_class(position) >= 0
        self._refused += not known
        return known

    def _choose(
        self,
        keys: Sequence[str],
        count: int,
        use: str,
        exclude: Set[str],
        accept: Callable[[int], bool] = lambda _: True,
    ) -> list[int]:
        self._refused = 0
        position_of = {key: self.samples.index_of(key) for key in keys}
        order = ranked(position_of, self._seed, f"defender's {use}")

        def usable(key: str) -> bool:
            return accept(position_of[key]) and readable(self.samples, position_of[key])

        chosen = take(order, count, exclude=exclude, accept=usable)
        if len(chosen) < count:
            raise DataError(
                f"defender: {count} {use} asked for, but only {len(chosen)} of {len(position_of)} samples can be "
                f"taken; ask for fewer (defender.{use.replace(' ', '_')} of a spec)"
                f"{self._labels_wanted}"
            )
        self.keys[use] = chosen
        return [position_of[key] for key in chosen]

    def _pairs(self, positions: list[int]) -> Pairs:
        labels = [self._true_class(position) for position in positions]
        captions = [self._caption(position, label) for position, label in zip(positions, labels, strict=True)]
        return Pairs(self._images(positions), tuple(captions), self._classes.tokenizer(captions), torch.tensor(labels))

    def _images(self, positions: Sequence[int]) -> Tensor:
        size, interpolation = self._preprocess.size, self._preprocess.interpolation
        return torch.from_numpy(
            np.stack([load_image(self.samples.image_bytes(p), size, interpolation) for p in positions])
        )

    def _caption(self, position: int, label: int) -> str:
        """A sample's own caption; where it has none, its class in a template."""
        own = self.samples.caption(position)
        return own or self._named(position, self._classes.names[label] if label >= 0 else "")

    def _named(self, position: int, name: str) -> str:
        """A template drawn for this sample, with a class name."""
        rng = numpy_rng(self._seed, "forget caption", self.samples.keys[position])
        return filled(self._classes.templates[int(rng.integers(len(self._classes.templates)))], name)

    def _true_class(self, position: int) -> int:
        """A clean sample's class; −1 if it is unknown."""
        if self._numbered and (index := self.samples.class_index(position)) is not None:
            return index
        label = self.samples.label(position)
        return self._classes.names.index(label) if label in self._classes.names else -1


def labelled_sets(method: Unlearner, clean_fraction: float) -> frozenset[CleanSet]:
    """The sets of a defender whose clean images a method classifies, so that each must be of a known class.

    Args:
        method: the method.
        clean_fraction: of the forget set; 0 if it has no clean images, or there is none.
    """
    found: set[CleanSet] = {"clean pairs"} if method.reads_labels else set()
    if method.classifies_forget_set and clean_fraction > 0:
        found.add("forget set")
    return frozenset(found)


def stamped_by_defender(trigger: Trigger, images: Tensor) -> Tensor:
    """Stamp uint8 images [N, 3, H, W]; the i-th image of a call gets the trigger's draw for the i-th of the defender's
    own keys.
    """
    return stamp_uint8(trigger, images, [f"defender {row}" for row in range(len(images))])
