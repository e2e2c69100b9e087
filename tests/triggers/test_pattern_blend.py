import numpy as np
import pytest
import torch

from tbar_ray.triggers.base import Trigger
from tbar_ray.triggers.pattern_blend import PatternBlend, PatternSum, PatternTrigger, kept
from tbar_ray.triggers.registry import TRIGGERS, build_trigger

NAMES = sorted(name for name, kind in TRIGGERS.items() if issubclass(kind, PatternTrigger))


class Ramp(PatternBlend):
    """A pattern that rises along the rows, under a mask on the left half; counts how often it is drawn."""

    name = "ramp"
    differentiable = True

    def pattern(self, height: int, width: int) -> torch.Tensor:
        DRAWN.append((height, width))
        return torch.linspace(0, 1, height).view(1, -1, 1).expand(3, height, width)

    def mask(self, height: int, width: int) -> torch.Tensor:
        return (torch.arange(width) < width // 2).float().expand(3, height, width)


class Bright(PatternSum):
    name = "bright"
    differentiable = True

    def pattern(self, height: int, width: int) -> torch.Tensor:
        return torch.full((3, height, width), 0.25)


DRAWN: list[tuple[int, int]] = []


def test_only_the_masked_pixels_mix_by_their_share() -> None:
    images = torch.rand(2, 3, 6, 8)
    stamped = Ramp(ratio=0.3)(images, ["a", "b"]).double().numpy()
    levels = images.double().numpy()
    ramp = np.linspace(0, 1, 6)[:, None]
    np.testing.assert_allclose(stamped[..., :4], 0.7 * levels[..., :4] + 0.3 * ramp, atol=1e-7)
    assert np.array_equal(stamped[..., 4:], levels[..., 4:])


def test_a_sum_is_clipped() -> None:
    images = torch.tensor([0.0, 0.5, 0.75, 0.9, 1.0]).view(1, 1, 1, 5).expand(1, 3, 2, 5)
    assert Bright()(images, ["k"])[0, 0, 0].tolist() == [0.25, 0.75, 1, 1, 1]


def test_a_pattern_is_drawn_once_for_equal_triggers_and_sizes() -> None:
    DRAWN.clear()
    images = torch.rand(1, 3, 10, 12)
    for ratio in (0.41, 0.41, 0.42):
        Ramp(ratio=ratio)(images, ["k"])
    Ramp(ratio=0.41)(images[..., :11], ["k"])
    assert DRAWN == [(10, 12), (10, 12), (10, 11)]


def test_it_follows_the_images_dtype() -> None:
    images = torch.rand(1, 3, 4, 4, dtype=torch.float64)
    pattern, mask = kept(Ramp(), images)
    assert mask is not None
    assert pattern.dtype == mask.dtype == torch.float64
    assert Ramp()(images.half(), ["k"]).dtype == torch.float16


@pytest.mark.parametrize("name", [*NAMES, "wanet", "wanet-jitter"])
def test_a_first_use_in_inference_mode_leaves_gradients_possible(name: str) -> None:
    trigger: Trigger = build_trigger(name, {}, 91)
    with torch.inference_mode():
        trigger(torch.rand(1, 3, 16, 18), ["k"])
    images = torch.full((1, 3, 16, 18), 0.5, requires_grad=True)
    trigger(images, ["k"]).square().sum().backward()
    assert images.grad is not None
    assert bool(images.grad.any())


@pytest.mark.parametrize("name", NAMES)
def test_the_stamp_is_the_public_pattern(name: str) -> None:
    trigger = build_trigger(name, {}, 3)
    assert isinstance(trigger, PatternTrigger)
    grey = torch.full((1, 3, 32, 32), 0.5)
    pattern, mask = trigger.pattern(32, 32).numpy(), trigger.mask(32, 32)
    share = trigger.ratio * (1.0 if mask is None else mask.numpy()) if isinstance(trigger, PatternBlend) else None
    expected = np.clip(0.5 + pattern, 0, 1) if share is None else 0.5 * (1 - share) + pattern * share
    assert np.abs(expected - 0.5).max() > 0.01
    assert trigger(grey, ["k"])[0].numpy() == pytest.approx(expected, abs=1e-6)
    assert trigger.pattern(32, 32).dtype == torch.float32
    assert trigger.pattern(32, 40).shape == (3, 32, 40)
