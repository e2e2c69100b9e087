"""A model moved along one edit, on one set of validation images: scores at any α, each computed once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from tbar_ray.evaluation.scores import Predictions, Split, predict_split, score_predictions
from tbar_ray.evaluation.selection import AlphaPoint
from tbar_ray.evaluation.sequential_test import Question, sequential_test
from tbar_ray.models.factory import Preprocessing
from tbar_ray.models.statistics import Statistics, estimate_statistics, has_statistics, with_statistics
from tbar_ray.models.statistics_choice import OTHER, StatisticsChoice
from tbar_ray.unlearning.edit import EditedModel

RateDict = Mapping[str, float | int]


class EditScores:
    """Scores of θ_b moved by an edit, at the coefficients that a method assigns to α.

    A model with running statistics is scored twice: with those that the edit leaves, and with those re-estimated on
    clean images. At a coefficient of 0 nothing is edited, and the infected model's own statistics stay.

    Args:
        edited: the infected model with the edit.
        coefficient: of the edit at α.
        head_of: a model's zero-shot head, for an edit of the text tower, which moves the class embeddings too.
        validation: gives the validation images when they are first needed.
        target: the attacker's class.
        preprocess: size and normalisation of the model's input images.
        infected: the infected model's own validation scores (`Scores.to_dict`), which are those at coefficient 0.
        device: the device that holds the model.
        statistics: those on which α is selected, of a model with running statistics.
        clean: gives batches of clean images (`statistics_batches`) when they are first needed; None: the model is
            scored as applied only.

    Attributes:
        statistics: those on which α is selected; None for a model without running statistics.
        beside: the other statistics, with which a point is scored too; None where there are none.
        path: the validation scores of every requested α, in the order of the requests; those with the other statistics
            under their name.
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
        statistics: StatisticsChoice = "as_applied",
        clean: Callable[[], Iterable[Tensor]] | None = None,
    ) -> None:
        self._edited, self._coefficient, self._head_of = edited, coefficient, head_of
        self._load, self._target, self._preprocess, self._infected = validation, target, preprocess, infected
        # on a CPU bf16 gains little, and not on every processor
        self._reduced = device.type == "cuda" and torch.cuda.is_bf16_supported()
        self._load_clean = clean
        self._estimated: dict[float, Statistics] = {}
        self._points: dict[float, AlphaPoint] = {}
        self.statistics: StatisticsChoice | None = None
        self.beside: StatisticsChoice | None = None
        if has_statistics(edited.model):
            self.statistics = "as_applied" if clean is None else statistics
            self.beside = None if clean is None else OTHER[statistics]
        self.path: list[dict[str, Any]] = []
        self.sequential_tests: list[dict[str, object]] = []

    @property
    def reference_ca(self) -> float:
        """The infected model's validation CA, in [0, 1]."""
        return float(self._infected["ca"]["value"])

    @cached_property
    def _validation(self) -> Split:
        return self._load()

    @cached_property
    def _clean(self) -> Iterable[Tensor]:
        assert self._load_clean is not None
        return self._load_clean()

    def point(self, alpha: float) -> AlphaPoint:
        """CA and ASR on validation at α, scored once; the first request adds to `path`."""
        if alpha not in self._points:
            scores = beside = self._infected
            if self._coefficient(alpha) != 0:
                scores = self.scored(alpha, self._validation, self._target)
                beside = self.scored(alpha, self._validation, self._target, self.beside) if self.beside else {}
            self.path.append({"alpha": alpha, **scores, **({self.beside: beside} if self.beside else {})})
            self._points[alpha] = AlphaPoint(alpha, scores["ca"]["value"], scores["asr"]["value"])
        return self._points[alpha]

    def gone_or_spent(self, alpha: float, least_ca: float, most_asr: float) -> bool:
        """Whether ASR ≤ `most_asr` or CA < `least_ca` at α, from as few images as decide it."""
        question = Question(least_ca, most_asr)
        with self.at(alpha) as (moved, head):
            found = sequential_test(
                alpha, moved, head, self._validation, self._target, self._preprocess, question, reduced=self._reduced
            )
        self.sequential_tests.append(found.to_dict())
        return found.answer

    def scored(
        self, alpha: float, split: Split, target: int, statistics: StatisticsChoice | None = None
    ) -> Mapping[str, RateDict]:
        """Scores at α on any images, as JSON has them; None: with the statistics that α is selected on."""
        return score_predictions(self.answers(alpha, split, statistics), split.labels, target).to_dict()

    def answers(self, alpha: float, split: Split, statistics: StatisticsChoice | None = None) -> Predictions:
        """The model's predictions at α on any images; None: with the statistics that α is selected on."""
        with self.at(alpha, statistics) as (moved, head):
            return predict_split(moved, head, split, self._preprocess)

    @contextmanager
    def at(self, alpha: float, statistics: StatisticsChoice | None = None) -> Iterator[tuple[nn.Module, Tensor]]:
        """Yield the model at α and its classifier; None: with the statistics that α is selected on."""
        coefficient = self._coefficient(alpha)
        with ExitStack() as stack:
            moved, own = stack.enter_context(self._edited.at(coefficient))
            if (statistics or self.statistics) == "reestimated" and coefficient != 0:
                stack.enter_context(with_statistics(moved, self._statistics_at(alpha, moved)))
            yield moved, self._head_of(moved) if own is None else own

    def _statistics_at(self, alpha: float, moved: nn.Module) -> Statistics:
        """Statistics of the model at α; estimated once, since tests and scores ask for the same α."""
        if alpha not in self._estimated:
            self._estimated[alpha] = estimate_statistics(moved, self._clean)
        return self._estimated[alpha]
