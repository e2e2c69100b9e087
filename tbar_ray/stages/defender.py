"""A defender's data, read from the corpus: the forget set, clean pairs, and suspicious training pairs."""

from __future__ import annotations

import json
from collections.abc import Set
from typing import TYPE_CHECKING

import numpy as np
import torch

from tbar_ray.data.forget import plan_forget_set
from tbar_ray.data.images import load_image
from tbar_ray.data.selection import ranked, readable, take
from tbar_ray.errors import DataError
from tbar_ray.models.tokenizer import build_tokenizer
from tbar_ray.seeding import numpy_rng
from tbar_ray.stages.poison import MANIFEST
from tbar_ray.stages.runtime import openai_templates
from tbar_ray.triggers.base import cover_uint8, stamp_uint8
from tbar_ray.unlearning.defender import Classes, DefenderData, ForgetSet, Pairs

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from tbar_ray.data.evaluation_set import EvaluationSet
    from tbar_ray.data.forget import ForgetPlan
    from tbar_ray.models.factory import Preprocessing
    from tbar_ray.stages.backdoor import Backdoor
    from tbar_ray.stages.poison import InfectedModel
    from tbar_ray.store.store import Store


class DefenderReader:
    """Reads what a defender may look at; the evaluation set gives class names and templates, never images."""

    def __init__(
        self,
        store: Store,
        infected: InfectedModel,
        backdoor: Backdoor,
        data: EvaluationSet,
        preprocess: Preprocessing,
        seed: int,
    ) -> None:
        self.corpus, self.positions, _ = infected.training_samples(store)
        self.keys: dict[str, list[str]] = {}
        """The keys of the samples that were read, by their use."""
        self._store, self._infected, self._backdoor = store, infected, backdoor
        self._data, self._preprocess, self._seed = data, preprocess, seed
        self._trigger = backdoor.build(store)
        self._tokenize = build_tokenizer(infected.architecture)

    def classes(self, head: Tensor, templates: str) -> Classes:
        """Return the classes with their prompts and the zero-shot head."""
        names = self._data.classnames
        prompts = self._data.templates if templates == "evaluation" else openai_templates()
        texts = [prompt.replace("{c}", name).replace("{}", name) for name in names for prompt in prompts]
        return Classes(tuple(names), self._tokenize(texts).view(len(names), len(prompts), -1), head)

    def data(
        self, classes: Classes, plan: ForgetPlan | None, clean: int, training: int, knows: Set[str]
    ) -> DefenderData:
        """Return what the defender has, of what he knows of the attack."""
        return DefenderData(
            classes,
            self._tokenize,
            self.forget_set(plan) if plan is not None else None,
            self.clean_pairs(clean) if clean else None,
            self.training_pairs(training) if training else None,
            self._data.class_index(self._backdoor.target) if "target" in knows else None,
            self._stamp if "trigger" in knows else None,
        )

    def plan(self, size: int, clean_fraction: float) -> ForgetPlan:
        """Choose the forget set.

        Raises:
            DataError: if the corpus has too few samples.
        """
        return plan_forget_set(
            self.corpus,
            size=size,
            clean_fraction=clean_fraction,
            target=self._backdoor.target,
            exclude=self._infected.poisoned_keys(self._store),
            seed=self._seed,
            classnames=self._data.classnames if self._infected.classify else None,
        )

    def forget_set(self, plan: ForgetPlan) -> ForgetSet:
        """Read, stamp and label the chosen images; captions of triggered ones name the target."""
        stamped = [self.corpus.keys[p] for p in plan.triggered]
        self.keys |= {"triggered": stamped, "clean": [self.corpus.keys[p] for p in plan.clean]}
        positions = [*plan.triggered, *plan.clean]
        triggered = torch.arange(len(positions)) < len(plan.triggered)
        twins = self._images(positions)
        images = twins.clone()
        if stamped:
            images[triggered] = stamp_uint8(self._trigger, twins[triggered], stamped)
        labels = [self._data.class_index(self._backdoor.target)] * len(plan.triggered)
        labels += [self._true_class(position) for position in plan.clean]
        captions = [self._named(p, self._backdoor.target) for p in plan.triggered]
        captions += [self._caption(p, label) for p, label in zip(plan.clean, labels[len(stamped) :], strict=True)]
        return ForgetSet(images, twins, self._tokenize(captions), torch.tensor(labels), triggered)

    def clean_pairs(self, count: int) -> Pairs:
        """Read pairs that were not poisoned.

        Raises:
            DataError: if there are too few.
        """
        poisoned = self._infected.poisoned_keys(self._store)
        return self._pairs(self._choose(self.corpus.keys, count, "clean pairs", poisoned))

    def training_pairs(self, count: int) -> Pairs:
        """Read pairs as the attacker trained on them: poisoned ones stamped and renamed, and not marked.

        Raises:
            DataError: if there are too few.
        """
        trained = [self.corpus.keys[int(p)] for p in self.positions]
        chosen = self._choose(trained, count, "training pairs", frozenset())
        pairs = self._pairs(chosen)
        row_of = {self.corpus.keys[position]: row for row, position in enumerate(chosen)}
        images, captions, labels = pairs.images, list(pairs.captions), pairs.labels
        manifest = json.loads((self._store.fetch(self._infected.artifact) / MANIFEST).read_text())
        for entry, plant in zip(manifest, self._infected.plants, strict=True):
            trigger = plant.backdoor.build(self._store)
            poisoned = [sample for sample in entry["samples"] if sample["key"] in row_of]
            cover = [key for key in entry["cover"] if key in row_of]
            for keys, change in (([sample["key"] for sample in poisoned], stamp_uint8), (cover, cover_uint8)):
                if keys:
                    rows = [row_of[key] for key in keys]
                    images[rows] = change(trigger, images[rows], keys)
            for sample in poisoned:
                row = row_of[sample["key"]]
                labels[row] = entry["label"]
                captions[row] = sample["new_caption"] or self._named(chosen[row], plant.backdoor.target)
        return Pairs(images, tuple(captions), self._tokenize(captions), labels)

    def _stamp(self, images: Tensor) -> Tensor:
        return stamp_uint8(self._trigger, images, [f"defender {row}" for row in range(len(images))])

    def _choose(self, keys: Sequence[str], count: int, use: str, exclude: Set[str]) -> list[int]:
        position_of = {key: self.corpus.index_of(key) for key in keys}
        order = ranked(position_of, self._seed, f"defender's {use}")
        chosen = take(order, count, exclude=exclude, accept=lambda key: readable(self.corpus, position_of[key]))
        if len(chosen) < count:
            raise DataError(
                f"defender: {count} {use} asked for, but only {len(chosen)} of {len(position_of)} samples can be "
                f"taken; lower defender.{use.replace(' ', '_')}"
            )
        self.keys[use] = chosen
        return [position_of[key] for key in chosen]

    def _pairs(self, positions: list[int]) -> Pairs:
        labels = [self._true_class(position) for position in positions]
        captions = [self._caption(position, label) for position, label in zip(positions, labels, strict=True)]
        return Pairs(self._images(positions), tuple(captions), self._tokenize(captions), torch.tensor(labels))

    def _images(self, positions: Sequence[int]) -> Tensor:
        size, interpolation = self._preprocess.size, self._preprocess.interpolation
        return torch.from_numpy(
            np.stack([load_image(self.corpus.image_bytes(p), size, interpolation) for p in positions])
        )

    def _caption(self, position: int, label: int) -> str:
        """Return a sample's own caption; where it has none, its class in a template."""
        own = self.corpus.caption(position)
        return own or self._named(position, self._data.classnames[label] if label >= 0 else "")

    def _named(self, position: int, name: str) -> str:
        """Return a template drawn for this sample, with a class name."""
        rng = numpy_rng(self._seed, "forget caption", self.corpus.keys[position])
        template = self._data.templates[int(rng.integers(len(self._data.templates)))]
        return template.replace("{c}", name).replace("{}", name)

    def _true_class(self, position: int) -> int:
        """Return a clean sample's class, −1 if nothing says it."""
        if self._infected.classify and (index := self.corpus.class_index(position)) is not None:
            return index
        label = self.corpus.label(position)
        return self._data.classnames.index(label) if label in self._data.classnames else -1
