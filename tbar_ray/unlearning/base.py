"""What an unlearning method is: from an infected model and a defender's data to an edit of the model."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor, nn

from tbar_ray.errors import DataError
from tbar_ray.later import uncounted
from tbar_ray.models.factory import Preprocessing
from tbar_ray.models.task_vector import TaskVector
from tbar_ray.training.loop import Progress
from tbar_ray.training.record import TrainingRecord
from tbar_ray.unlearning.defender import Classes, DefenderData, ForgetSet, Need, Pairs
from tbar_ray.unlearning.edit import Edit

Strength = Literal["negation", "interpolation", "none"]
"""What the scaling coefficient α does: θ_b − α·τ; θ_b + α·τ, where α = 1 is the method as published; or nothing (the
method has no such parameter, and α is 1)."""


@dataclass(frozen=True)
class Unlearned:
    """The result of a method, and its cost.

    Attributes:
        edit: the change of the model, which is θ_b + coefficient(α)·edit.vector.
        record: steps, samples and seconds of all trainings that it took.
        facts: further results of the method (neurons, layers, thresholds), for JSON.
    """

    edit: Edit
    record: TrainingRecord
    facts: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Infected:
    """The model that is unlearned, with everything that a method is given.

    Attributes:
        model: the infected model; a method may train it in place, it is put back afterwards.
        start: a copy of its weights and buffers.
        data: the defender's data.
        preprocessing: size and normalisation of the model's input images.
        seed: seed of every draw.
        progress: where trainings report.
    """

    model: nn.Module
    start: Mapping[str, Tensor]
    data: DefenderData
    preprocessing: Preprocessing
    seed: int
    progress: Progress | None = None

    @property
    def device(self) -> torch.device:
        """Device that holds the model."""
        return next(self.model.parameters()).device

    @property
    def forget(self) -> ForgetSet:
        """The forget set; only for methods that need it."""
        assert self.data.forget is not None
        return self.data.forget

    @property
    def clean(self) -> Pairs:
        """The clean pairs; only for methods that need them."""
        assert self.data.clean is not None
        return self.data.clean

    @property
    def training(self) -> Pairs:
        """The suspicious training pairs; only for methods that need them."""
        assert self.data.training is not None
        return self.data.training

    @property
    def target(self) -> int:
        """Index of the attacker's class; only for methods that need it."""
        assert self.data.target is not None
        return self.data.target

    @property
    def classes(self) -> Classes:
        """The zero-shot classes, with their prompts and head."""
        return self.data.classes

    def stamp(self, images: Tensor) -> Tensor:
        """Stamp uint8 images with the trigger; only for methods that need it."""
        assert self.data.stamp is not None
        return self.data.stamp(images)

    def change(self) -> TaskVector:
        """Task vector from the starting weights to the present ones."""
        return TaskVector.between(self.start, self.model.state_dict())

    def restore(self) -> None:
        """Restore the starting weights and buffers."""
        live = self.model.state_dict()  # which shares its memory with the model
        with torch.no_grad():
            torch._foreach_copy_(list(live.values()), [self.start[name] for name in live])


class Unlearner(BaseModel, ABC):
    """A method and its hyper-parameters (frozen, hashable); the defaults are the published ones."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: ClassVar[str]
    needs: ClassVar[frozenset[Need]]
    strength: ClassVar[Strength] = "none"
    labelled: ClassVar[bool] = False
    """Whether every form of the method reads the class labels of the clean pairs."""

    def identity(self) -> dict[str, Any]:
        """Hyper-parameters for a fingerprint, defaults too: when one changes, so must the fingerprint.

        Those that came later (`LATER`) are left out at their defaults.
        """
        return self.model_dump(exclude=uncounted(self))

    @property
    def reads_labels(self) -> bool:
        """Whether it reads the class labels of the clean pairs with these hyper-parameters."""
        return self.labelled

    @property
    def classifies_forget_set(self) -> bool:
        """Whether it reads the class labels of clean forget images with these hyper-parameters."""
        return False

    def unlearn(
        self,
        model: nn.Module,
        data: DefenderData,
        preprocessing: Preprocessing,
        seed: int,
        progress: Progress | None = None,
        found: Unlearned | None = None,
    ) -> Unlearned:
        """Find the edit. `model` is the infected model; it is unchanged afterwards, also if this fails.

        Args:
            model: the infected model.
            data: what the defender holds.
            preprocessing: size and normalisation of the model's input images.
            seed: seed of every draw.
            progress: where trainings report.
            found: what `base` found on the same model, data and seed, where there is a base and it has run already.

        Raises:
            ScientificError: if the method diverges or finds nothing to act on.
            DataError: if the data lack what the method needs.
        """
        lacking = {need: advice for need, advice in data.lacks().items() if need in self.needs}
        if lacking:
            need, advice = next(iter(lacking.items()))
            raise DataError(f"{self.name} needs the defender's {need}, and there is none; {advice}")
        if "forget set" in self.needs and data.forget is not None and not bool(data.forget.triggered.any()):
            raise DataError(f"{self.name}: the forget set has no triggered image; lower forget.clean_fraction")
        start = {key: value.detach().clone() for key, value in model.state_dict().items()}
        infected = Infected(model, start, data, preprocessing, seed, progress)
        model.eval()
        try:
            return self.find(infected) if found is None else self.refine(found, infected)
        finally:
            infected.restore()
            model.eval()

    @abstractmethod
    def find(self, infected: Infected) -> Unlearned:
        """Find the edit; it may leave the model trained."""

    def base(self) -> Unlearner | None:
        """The method whose edit this one starts from; None: it finds its own.

        Methods with one base share what it costs: it runs once for all of them.
        """
        return None

    def refine(self, found: Unlearned, infected: Infected) -> Unlearned:  # noqa: ARG002 - for subclasses
        """The edit, from that of `base`; record and facts cover both."""
        raise TypeError(f"{self.name} has no base")  # only methods with a base are asked

    def coefficient(self, alpha: float) -> float:
        """What the vector is multiplied by at scaling coefficient α; at α = 0 the model is the infected one."""
        return -alpha if self.strength == "negation" else alpha
