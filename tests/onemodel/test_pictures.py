"""A few stamped images, and a model's best answers."""

from __future__ import annotations

import pytest
import torch

import tbar_ray as tbar
from tbar_ray.evaluation.scores import Split
from tbar_ray.onemodel.examine import Examined
from tbar_ray.onemodel.pictures import best_answers, stamped_rows, trigger_picture
from tbar_ray.triggers.proxy import Proxy
from tbar_ray.triggers.unet import UNet
from tests.api.world import CLASSES
from tests.unlearning.planted import NAMES


@pytest.mark.parametrize(
    ("count", "rows"), [(3, [0, 1]), (10, [0, 1, 3, 4, 6, 7, 9]), (30, [0, 3, 7, 10, 15, 18, 22, 25])]
)
def test_at_most_eight_images_of_other_classes_are_shown(count: int, rows: list[int]) -> None:
    images, labels = torch.zeros(count, 3, 4, 4, dtype=torch.uint8), torch.arange(count) % 3
    assert stamped_rows(Split(images, images, labels), 2) == rows


def test_a_found_trigger_is_shown_by_what_it_is() -> None:
    mask = torch.zeros(1, 8, 8)
    mask[:, :4] = 1
    patch, told = trigger_picture(Proxy.of(keep=1 - mask, added=mask.expand(3, 8, 8)))
    assert (patch[:, :4] == 255).all()
    assert (patch[:, 4:] == 128).all()
    assert told == "on grey; it covers 50.0 % of an image"
    noise, told = trigger_picture(Proxy.of(added=torch.full((3, 8, 8), 0.125)))
    assert (noise == 255).all()
    assert told == "noise on grey, 4.0 times as strong as it is"
    board, told = trigger_picture(Proxy.of(flow=torch.zeros(2, 32, 32)))
    assert set(board.unique().tolist()) == {0, 255}
    assert told == "a chessboard under its warp"
    changed, told = trigger_picture(Proxy.of_network(UNet.drawn(2, 1, 0, "test"), 32))
    assert len(changed.unique()) > 2
    assert told == "a chessboard under its network"


def test_best_answers_are_the_models_predictions(examined: Examined) -> None:
    model, images = examined.opened.model, examined.test.loaded.clean[:6]
    named = [best[0].name for best in best_answers(model, images, CLASSES)]
    assert named == [NAMES[number] for number in model.predict(images, CLASSES).tolist()]
    for best in best_answers(model, images, tbar.Classes(NAMES[:2], ["a {}"])):
        assert sum(answer.probability for answer in best) == pytest.approx(1)
