"""The infected model moved along one vector, on one evaluation set: scores at any α, each computed once."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from tbar_ray.evaluation.scores import Predictions, Split, predict_split, score_predictions
from tbar_ray.evaluation.selection import AlphaPoint
from tbar_ray.evaluation.sequential_test import Question, sequential_test
from tbar_ray.stages.evaluate import SCORES, Evaluate, save_predictions
from tbar_ray.stages.runtime import device_for
from tbar_ray.store.store import Store
from tbar_ray.unlearning.edit import Edit, EditedModel

if TYPE_CHECKING:
    from torch import Tensor, nn


class AlphaScores:
    """Answers of θ_b moved by an edit, at coefficients that a method makes of α.

    Args:
        store: with everything that the scores need.
        scorer: the scores of the infected model, whose evaluation set and trigger are used.
        edit: folder of the edit.
        coefficient: of the edit at α.
        gpus: what the stage was given.

    Attributes:
        path: the validation scores of every α that was asked for, in the order of asking.
        sequential_tests: what decided the α that were not scored in full (`gone_or_spent`).
    """

    def __init__(
        self, store: Store, scorer: Evaluate, edit: Path, coefficient: Callable[[float], float], gpus: float
    ) -> None:
        self._store, self._scorer, self._coefficient = store, scorer, coefficient
        device = device_for(gpus)
        self._data = scorer.open_data(store)
        self._target = self._data.class_index(scorer.backdoor.target)
        self._trigger = scorer.backdoor.build(store)
        model = scorer.model.load(store, device)
        head, self._preprocess = scorer.head_of(model, self._data)
        self._edited = EditedModel(model, Edit.load(edit), head)
        # on a CPU bf16 gains little, and not on every processor
        self._reduced = device.type == "cuda" and torch.cuda.is_bf16_supported()
        self._infected = json.loads((store.fetch(scorer.artifact) / SCORES).read_text())["validation"]
        self._points: dict[float, AlphaPoint] = {}
        self.path: list[dict[str, Any]] = []
        self.sequential_tests: list[dict[str, object]] = []

    @property
    def reference_ca(self) -> float:
        """Return the infected model's validation CA."""
        return float(self._infected["ca"]["value"])

    @cached_property
    def _validation(self) -> Split:
        return self._scorer.load_split(self._data, "validation", self._trigger, self._preprocess)

    def point(self, alpha: float) -> AlphaPoint:
        """Return the validation scores at α."""
        if alpha not in self._points:
            if self._coefficient(alpha) == 0:  # the infected model, which has its scores
                scores = self._infected
            else:
                answers = self._answers(alpha, self._validation)
                scores = score_predictions(answers, self._validation.labels, self._target).to_dict()
            self.path.append({"alpha": alpha, **scores})
            self._points[alpha] = AlphaPoint(alpha, scores["ca"]["value"], scores["asr"]["value"])
        return self._points[alpha]

    def gone_or_spent(self, alpha: float, least_ca: float, most_asr: float) -> bool:
        """Return whether ASR ≤ `most_asr` or CA < `least_ca` at α, from as few images as decide it."""
        with self._moved_by(alpha) as (moved, classifier):
            question = Question(least_ca, most_asr)
            found = sequential_test(
                alpha,
                moved,
                classifier,
                self._validation,
                self._target,
                self._preprocess,
                question,
                reduced=self._reduced,
            )
        self.sequential_tests.append(found.to_dict())
        return found.answer

    def test(self, alpha: float, out: Path) -> dict[str, Any]:
        """Return the test scores at α, and keep the answers under `out`."""
        split = self._scorer.load_split(self._data, "test", self._trigger, self._preprocess)
        predictions = self._answers(alpha, split)
        save_predictions(out, split, predictions, self._target)
        return {"alpha": alpha, **score_predictions(predictions, split.labels, self._target).to_dict()}

    def retrieval(self, alpha: float) -> dict[str, dict[str, float | int]] | None:
        """Return the retrieval scores at α; None without a retrieval set."""
        if self._scorer.retrieval is None:
            return None
        with self._edited.at(self._coefficient(alpha)) as (moved, _):
            return self._scorer.score_retrieval(self._store, moved, self._trigger, self._preprocess)

    def test_of_other(self, alpha: float, other: Evaluate) -> dict[str, Any]:
        """Return the test scores at α for another backdoor of the same model."""
        split = other.load_split(self._data, "test", other.backdoor.build(self._store), self._preprocess)
        target = self._data.class_index(other.backdoor.target)
        return score_predictions(self._answers(alpha, split), split.labels, target).to_dict()

    def _answers(self, alpha: float, split: Split) -> Predictions:
        with self._moved_by(alpha) as (moved, classifier):
            return predict_split(moved, classifier, split, self._preprocess)

    @contextmanager
    def _moved_by(self, alpha: float) -> Iterator[tuple[nn.Module, Tensor]]:
        with self._edited.at(self._coefficient(alpha)) as (moved, own):
            # an edit of the text tower moves the class embeddings too
            yield moved, self._scorer.head_of(moved, self._data)[0] if own is None else own
