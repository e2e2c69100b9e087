"""A few stamped images, and a model's best answers."""

from __future__ import annotations

import pytest
import torch

import tbar_ray as tbar
from tbar_ray.evaluation.scores import Split
from tbar_ray.onemodel.examine import Examined
from tbar_ray.onemodel.pictures import best_answers, stamped_rows
from tests.api.world import CLASSES
from tests.unlearning.planted import NAMES


@pytest.mark.parametrize(
    ("count", "rows"), [(3, [0, 1]), (10, [0, 1, 3, 4, 6, 7, 9]), (30, [0, 3, 7, 10, 15, 18, 22, 25])]
)
def test_at_most_eight_images_of_other_classes_are_shown(count: int, rows: list[int]) -> None:
    images, labels = torch.zeros(count, 3, 4, 4, dtype=torch.uint8), torch.arange(count) % 3
    assert stamped_rows(Split(images, images, labels), 2) == rows


def test_best_answers_are_the_models_predictions(examined: Examined) -> None:
    model, images = examined.opened.model, examined.test.loaded.clean[:6]
    named = [best[0].name for best in best_answers(model, images, CLASSES)]
    assert named == [NAMES[number] for number in model.predict(images, CLASSES).tolist()]
    for best in best_answers(model, images, tbar.Classes(NAMES[:2], ["a {}"])):
        assert sum(answer.probability for answer in best) == pytest.approx(1)
