"""The infected model moved along one vector, on the evaluation sets of a campaign."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tbar_ray.evaluation.normalised_images import NormalisedImages, statistics_batches
from tbar_ray.evaluation.scores import score_predictions
from tbar_ray.models.statistics_choice import StatisticsChoice
from tbar_ray.stages.defender_images import defenders_clean_images
from tbar_ray.stages.evaluate import SCORES, Evaluate, save_predictions
from tbar_ray.stages.unlearn import Unlearn
from tbar_ray.store.store import Store
from tbar_ray.unlearning.edit import Edit, EditedModel
from tbar_ray.unlearning.edit_scores import EditScores


class AlphaScores:
    """Scores of θ_b moved by an edit: validation at any α, test, retrieval and other backdoors at one.

    Args:
        store: with everything that the scores need.
        scorer: the scores of the infected model, whose evaluation set and trigger are used.
        unlearn: the stage that found the edit; its defender has the clean images.
        coefficient: of the edit at α.
        device: where the model goes.
        statistics: what scores count, of a model with running statistics.
        images: clean images on which these are re-estimated.
        judge: scores of the infected model on the trigger that validation is judged by, where that is a proxy; None:
            the scorer.

    Attributes:
        validation: the validation scores at any α.
        statistics_images: on how many images statistics were re-estimated; None where none were.
    """

    def __init__(
        self,
        store: Store,
        scorer: Evaluate,
        unlearn: Unlearn,
        coefficient: Callable[[float], float],
        device: torch.device,
        statistics: StatisticsChoice,
        images: int,
        judge: Evaluate | None = None,
    ) -> None:
        self._store, self._scorer = store, scorer
        self._data = scorer.open_data(store)
        self._target = self._data.class_index(scorer.backdoor.target)
        self._trigger = scorer.backdoor.build(store)
        judge = judge or scorer
        model, head, self._preprocess = scorer.load_model(store, device, self._data)
        self.statistics_images: int | None = None

        def clean() -> NormalisedImages:
            found = defenders_clean_images(store, unlearn, images, self._preprocess)
            self.statistics_images = len(found)
            return statistics_batches(found, self._preprocess, device)

        self._edit, self._coefficient = Edit.load(store.fetch(unlearn.artifact)), coefficient
        self.validation = EditScores(
            EditedModel(model, self._edit, head),
            coefficient,
            self._head_of,
            lambda: judge.load_split(self._data, "validation", judge.backdoor.build(store), self._preprocess),
            self._data.class_index(judge.backdoor.target_in(store)),
            self._preprocess,
            json.loads((store.fetch(judge.artifact, SCORES) / SCORES).read_text())["validation"],
            device,
            statistics,
            clean,
        )

    def test(self, alpha: float, out: Path) -> dict[str, Any]:
        """Test scores at α (of the other statistics too, by their name); the answers are kept under `out`."""
        split = self._scorer.load_split(self._data, "test", self._trigger, self._preprocess)
        predictions = self.validation.answers(alpha, split)
        save_predictions(out, split, predictions, self._target)
        found = {"alpha": alpha, **score_predictions(predictions, split.labels, self._target).to_dict()}
        if (beside := self.validation.beside) is not None:
            found[beside] = self.validation.scored(alpha, split, self._target, beside)
        return found

    @contextmanager
    def cleaned(self, alpha: float) -> Iterator[tuple[nn.Module, Callable[[nn.Module], Tensor]]]:
        """Yield the model at α, and what gives its classifier [C, D] once its weights change further.

        A zero-shot head moves with the text tower; a classifier of the edit's own stays. Inside, the model may be
        trained: whoever asks for it next (`kept_model`) gets it as it was loaded.
        """
        with self.validation.at(alpha) as (moved, head):
            own = self._edit.head is not None and self._coefficient(alpha) != 0
            yield moved, (lambda _: head) if own else self._head_of

    def _head_of(self, model: nn.Module) -> Tensor:
        head: Tensor = self._scorer.head_of(model, self._data)[0]
        return head

    def retrieval(self, alpha: float) -> dict[str, dict[str, float | int]] | None:
        """Retrieval scores at α, each with its n and interval; None without a retrieval set."""
        if self._scorer.retrieval is None:
            return None
        with self.validation.at(alpha) as (moved, _):
            return self._scorer.score_retrieval(self._store, moved, self._trigger, self._preprocess).rates

    def test_of_other(self, alpha: float, other: Evaluate) -> dict[str, Any]:
        """Test scores at α for another backdoor of the same model: its trigger and target."""
        split = other.load_split(self._data, "test", other.backdoor.build(self._store), self._preprocess)
        target = self._data.class_index(other.backdoor.target)
        return dict(self.validation.scored(alpha, split, target))
