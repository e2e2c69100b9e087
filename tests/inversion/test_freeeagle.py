import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from tbar_ray.errors import ScientificError
from tbar_ray.inversion.freeeagle import FreeEagle, outlyingness
from tbar_ray.inversion.subject import Subject
from tests.inversion.planted import CLASSES, TARGET, subject


class Block(nn.Module):
    """A bottleneck by its names; a rectified identity."""

    def __init__(self) -> None:
        super().__init__()
        self.conv3, self.bn3 = nn.Conv2d(CLASSES, CLASSES, 1, bias=False), nn.Identity()
        nn.init.dirac_(self.conv3.weight)
        self.calls = 0

    def forward(self, values: Tensor) -> Tensor:
        self.calls += len(values)
        return functional.relu(self.conv3(values))


class Blocks(nn.Module):
    """Channel c of the middle speaks for class c, and `shown` of it for the target as well."""

    def __init__(self, shown: float) -> None:
        super().__init__()
        self.visual = nn.Sequential(Block(), Block(), Block())
        self.head = nn.Parameter(torch.eye(CLASSES))
        self.head.data[TARGET] += shown * (1 - self.head.data[TARGET])

    def encode_image(self, pixels: Tensor) -> Tensor:
        values = pixels.mean((1, 2, 3))[:, None, None, None].expand(-1, CLASSES, 2, 2)
        embedded: Tensor = self.visual(values).mean((2, 3)) @ self.head.T
        return embedded


def blocks(shown: float) -> Subject:
    planted = subject("clean")
    return Subject(Blocks(shown), planted.preprocessing, planted.images, planted.head, planted.names)


def test_the_class_that_shows_through_in_all_others_is_found() -> None:
    found = FreeEagle(depth=0.5, steps=100).invert(blocks(0.8), 0)
    assert found.target == TARGET
    assert found.trigger is None
    clean = FreeEagle(depth=0.5, steps=100).invert(blocks(0.0), 0).score
    assert clean is not None
    assert found.score is not None
    assert found.score > 5 * clean
    assert found.by_class[TARGET] > 3 * sorted(found.by_class)[-2]
    pair = found.facts["strongest pair"]
    assert isinstance(pair, list)
    assert pair[1] == f"class {TARGET}"
    assert found.losses[-1][1] < found.losses[0][1]


def test_the_earlier_part_sees_one_blank_image_and_the_model_is_left_as_it_was() -> None:
    searched = blocks(0.8)
    FreeEagle(depth=0.5, steps=3).invert(searched, 0)
    first, middle, last = searched.model.visual  # type: ignore[misc]
    assert first.calls == 1 + 3 + 1
    assert middle.calls == last.calls == 1 + 4 * CLASSES
    image = searched.images[:2].float() / 255
    assert searched.embed(image).shape == (2, CLASSES)


def test_an_encoder_without_blocks_is_refused() -> None:
    planted = subject("clean")
    planted.model.visual = nn.Identity()
    with pytest.raises(ScientificError, match="freeeagle: the image encoder has no known residual blocks"):
        FreeEagle(steps=1).invert(planted, 0)


def test_outlyingness_is_in_interquartile_ranges_above_the_third_quartile() -> None:
    assert outlyingness(torch.tensor([1.0, 2.0, 3.0, 4.0, 9.0])) == pytest.approx((9 - 4) / (4 - 2))
