"""What a search for a trigger is: from a model and clean images to a proxy trigger and what it leads to."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from pydantic import BaseModel, ConfigDict

from tbar_ray.inversion.subject import Subject
from tbar_ray.triggers.proxy import Proxy

Progress = Callable[[int, int, float], None]
"""Told the steps done, all steps, and the present loss."""


def silent(_step: int, _steps: int, _loss: float) -> None:
    """Report nothing."""


class Losses:
    """The losses of a search as it goes on, passed on to its progress."""

    KEPT: ClassVar[int] = 100
    """Pairs that are kept of all."""

    def __init__(self, progress: Progress, total: int) -> None:
        """Begin a search of `total` steps."""
        self._progress, self._total = progress, total
        self._pairs: list[tuple[int, float]] = []

    def tell(self, loss: float) -> None:
        """Take note of the next step's loss."""
        self._pairs.append((len(self._pairs) + 1, loss))
        self._progress(len(self._pairs), self._total, loss)

    @property
    def steps(self) -> int:
        """Steps so far."""
        return len(self._pairs)

    def kept(self) -> tuple[tuple[int, float], ...]:
        """Pairs (step, loss), at even distances where there are many."""
        return tuple(self._pairs[:: max(1, len(self._pairs) // self.KEPT)])


@dataclass(frozen=True)
class Inversion:
    """What a search found.

    Attributes:
        trigger: the proxy trigger; None where the search looks for none, or did not converge, which says nothing about
            the model.
        score: how suspicious the model is: more is more suspicious. None where the search did not converge.
        target: number of the class that the search aimed at; None for searches without classes.
        by_class: the score of every class, where all were searched; else ().
        steps: optimiser steps.
        images: images that went through the model with gradients.
        losses: pairs (step, loss).
        facts: further results, for JSON.
    """

    trigger: Proxy | None
    score: float | None
    target: int | None = None
    by_class: tuple[float, ...] = ()
    steps: int = 0
    images: int = 0
    losses: tuple[tuple[int, float], ...] = ()
    facts: Mapping[str, object] = field(default_factory=dict)


class Inverter(BaseModel, ABC):
    """A search and its parameters (frozen, hashable)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: ClassVar[str]
    needs_classes: ClassVar[bool]
    """Whether it needs class embeddings, which a checkpoint of a vision tower alone does not give."""
    measures: ClassVar[str]
    """What its score is, in words."""

    def passes(self, images: int, classes: int) -> int | None:  # noqa: ARG002 - of those that can tell
        """Images that go through the model with gradients, at most, given so many images and classes.

        None where a search cannot tell beforehand.
        """
        return None

    @abstractmethod
    def invert(self, subject: Subject, seed: int, progress: Progress = silent) -> Inversion:
        """Search the model for a trigger.

        Args:
            subject: model and images; unchanged afterwards.
            seed: of starts and of the order of images.
            progress: told how far the search is.

        Raises:
            DataError: if it needs classes and there are none.
        """
