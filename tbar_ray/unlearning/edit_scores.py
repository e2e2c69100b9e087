"""A model moved along one edit, on one set of validation images: scores at any α, each computed once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from tbar_ray.evaluation.scores import Predictions, Split, predict_split, score_predictions
from tbar_ray.evaluation.selection import AlphaPoint
from tbar_ray.evaluation.sequential_test import Question, sequential_test
from tbar_ray.models.factory import Preprocessing
from tbar_ray.unlearning.edit import EditedModel

RateDict = Mapping[str, float | int]


class EditScores:
    """Scores of θ_b moved by an edit, at the coefficients that a method assigns to α.

    Args:
        edited: the infected model with the edit.
        coefficient: of the edit at α.
        head_of: a model's zero-shot head, for an edit of the text tower, which moves the class embeddings too.
        validation: gives the validation images when they are first needed.
        target: the attacker's class.
        preprocess: size and normalisation of the model's input images.
        infected: the infected model's own validation scores (`Scores.to_dict`), which are those at coefficient 0.
        device: the device that holds the model.

    Attributes:
        path: the validation scores of every requested α, in the order of the requests.
        sequential_tests: the decisions on α that were not scored in full (`gone_or_spent`).
    """

    def __init__(
        self,
        edited: EditedModel,
        coefficient: Callable[[float], float],
        head_of: Callable[[nn.Module], Tensor],
        validation: Callable[[], Split],
        target: int,
        preprocess: Preprocessing,
        infected: Mapping[str, RateDict],
        device: torch.device,
    ) -> None:
        self._edited, self._coefficient, self._head_of = edited, coefficient, head_of
        self._load, self._target, self._preprocess, self._infected = validation, target, preprocess, infected
        # on a CPU bf16 gains little, and not on every processor
        self._reduced = device.type == "cuda" and torch.cuda.is_bf16_supported()
        self._points: dict[float, AlphaPoint] = {}
        self.path: list[dict[str, Any]] = []
        self.sequential_tests: list[dict[str, object]] = []

    @property
    def reference_ca(self) -> float:
        """Return the infected model's validation CA."""
        return float(self._infected["ca"]["value"])

    @cached_property
    def _validation(self) -> Split:
        return self._load()

    def point(self, alpha: float) -> AlphaPoint:
        """Return the validation scores at α."""
        if alpha not in self._points:
            scores = self._infected
            if self._coefficient(alpha) != 0:
                answers = self.answers(alpha, self._validation)
                scores = score_predictions(answers, self._validation.labels, self._target).to_dict()
            self.path.append({"alpha": alpha, **scores})
            self._points[alpha] = AlphaPoint(alpha, scores["ca"]["value"], scores["asr"]["value"])
        return self._points[alpha]

    def gone_or_spent(self, alpha: float, least_ca: float, most_asr: float) -> bool:
        """Return whether ASR ≤ `most_asr` or CA < `least_ca` at α, from as few images as decide it."""
        question = Question(least_ca, most_asr)
        with self.at(alpha) as (moved, head):
            found = sequential_test(
                alpha, moved, head, self._validation, self._target, self._preprocess, question, reduced=self._reduced
            )
        self.sequential_tests.append(found.to_dict())
        return found.answer

    def answers(self, alpha: float, split: Split) -> Predictions:
        """Return the model's predictions at α on any images."""
        with self.at(alpha) as (moved, head):
            return predict_split(moved, head, split, self._preprocess)

    @contextmanager
    def at(self, alpha: float) -> Iterator[tuple[nn.Module, Tensor]]:
        """Yield the model at α and its classifier."""
        with self._edited.at(self._coefficient(alpha)) as (moved, own):
            yield moved, self._head_of(moved) if own is None else own
