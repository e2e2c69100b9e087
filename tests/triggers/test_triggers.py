"""What holds for every trigger."""

import pickle

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from tbar_ray.errors import SpecError
from tbar_ray.triggers.badnets import BadNets
from tbar_ray.triggers.base import Trigger, scaled, stamp_uint8
from tbar_ray.triggers.blended import Blended
from tbar_ray.triggers.registry import TRIGGERS, build_trigger
from tests.triggers.ready import ready

EVERY = pytest.mark.parametrize("name", sorted(TRIGGERS))
DIFFERENTIABLE = pytest.mark.parametrize("name", sorted(name for name, kind in TRIGGERS.items() if kind.differentiable))
SIZES = pytest.mark.parametrize(("height", "width"), [(32, 32), (24, 40), (40, 24), (17, 31), (8, 8)])


def pictures(count: int, height: int = 24, width: int = 24, seed: int = 0) -> Tensor:
    """Return uint8 noise."""
    levels = np.random.default_rng(seed).integers(0, 256, (count, 3, height, width), dtype=np.uint8)
    return torch.from_numpy(levels)


def keys_of(count: int) -> list[str]:
    return [f"{number:06d}" for number in range(count)]


@EVERY
@settings(max_examples=25)
@given(rows=st.lists(st.integers(0, 7), min_size=1, max_size=12), seed=st.integers(0, 3))
def test_a_sample_gets_one_stamp_in_any_batch_order_or_subset(name: str, rows: list[int], seed: int) -> None:
    trigger = ready(name, seed)
    images, keys = pictures(8).float() / 255, keys_of(8)
    together = trigger(images, keys)
    assert torch.equal(trigger(images[rows], [keys[row] for row in rows]), together[rows])
    alone = ready(name, seed)(images[rows[:1]], [keys[rows[0]]])
    assert torch.equal(alone[0], together[rows[0]])


@EVERY
@SIZES
@settings(max_examples=8)
@given(seed=st.integers(0, 2**31), extreme=st.sampled_from([None, 0.0, 1.0]))
def test_values_stay_in_range_and_the_input_is_not_modified(
    name: str, height: int, width: int, seed: int, extreme: float | None
) -> None:
    images = pictures(3, height, width, seed).float() / 255
    if extreme is not None:
        images.fill_(extreme)
    kept = images.clone()
    stamped = ready(name, seed)(images, keys_of(3))
    assert stamped.shape == images.shape
    assert stamped.dtype == images.dtype
    assert 0 <= float(stamped.min()) <= float(stamped.max()) <= 1
    assert torch.equal(images, kept)
    if extreme is None:  # a single pixel of a clipped patch may be as white as the image
        assert not torch.equal(stamped, images)


@EVERY
@SIZES
def test_the_uint8_path_is_the_float_path_to_the_level(name: str, height: int, width: int) -> None:
    trigger = ready(name, 5)
    images, keys = pictures(4, height, width), keys_of(4)
    kept = images.clone()
    levels = stamp_uint8(trigger, images, keys)
    exact = trigger(images.double() / 255, keys) * 255
    assert levels.dtype == torch.uint8
    assert float((levels.double() - exact).abs().max()) <= 0.5 + 1e-4
    assert torch.equal(images, kept)


@EVERY
def test_an_empty_batch_stays_empty(name: str) -> None:
    trigger = ready(name, 0)
    assert trigger(torch.empty(0, 3, 8, 8), []).shape == (0, 3, 8, 8)
    assert stamp_uint8(trigger, torch.empty(0, 3, 8, 8, dtype=torch.uint8), []).dtype == torch.uint8


@EVERY
def test_a_differentiable_trigger_passes_gradients(name: str) -> None:
    trigger = ready(name, 0)
    images = torch.full((2, 3, 24, 24), 0.5, requires_grad=True)
    trigger(images, keys_of(2)).sum().backward()
    assert images.grad is not None
    assert bool((images.grad != 0).any()) == trigger.differentiable


@EVERY
@pytest.mark.parametrize(
    ("images", "keys", "message"),
    [
        (torch.zeros(3, 8, 8), ["a"], "must be float"),
        (torch.zeros(1, 8, 8, 3), ["a"], "must be float"),
        (torch.zeros(1, 3, 8, 8, dtype=torch.uint8), ["a"], "uint8"),
        (torch.zeros(2, 3, 8, 8), ["a"], "2 images but 1 sample keys"),
    ],
)
def test_wrong_input_is_refused(name: str, images: Tensor, keys: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        ready(name, 0)(images, keys)
    assert str(caught.value).startswith(f"{name}:")


@DIFFERENTIABLE
def test_the_gradient_is_the_slope(name: str) -> None:
    trigger = ready(name)
    rng = np.random.default_rng(0)
    shape = (2, 3, 24, 24)
    images = torch.from_numpy(rng.uniform(0.3, 0.7, shape)).requires_grad_()
    weights, direction = (torch.from_numpy(rng.standard_normal(shape)) for _ in range(2))
    # the mean of a channel is kept, for patches around it may jump between levels
    direction -= direction.mean((-1, -2), keepdim=True)
    (gradient,) = torch.autograd.grad((trigger(images, keys_of(2)) * weights).sum(), images)
    step = 1e-3
    ahead, behind = (trigger(images.detach() + sign * step * direction, keys_of(2)) for sign in (1, -1))
    slope = float(((ahead - behind) * weights).sum()) / (2 * step)
    usual = float(gradient.norm() * direction.norm()) / gradient.numel() ** 0.5  # slope in a direction at random
    assert float((gradient * direction).sum()) == pytest.approx(slope, abs=0.01 * usual)


@EVERY
def test_a_trigger_is_a_frozen_hashable_value(name: str) -> None:
    trigger = ready(name, 4)
    assert trigger == ready(name, 4) != ready(name, 5)
    assert hash(trigger) == hash(ready(name, 4))
    assert type(trigger).model_validate_json(trigger.model_dump_json()) == trigger
    with pytest.raises(ValueError, match="frozen"):
        trigger.seed = 1  # type: ignore[misc]


@EVERY
def test_a_trigger_survives_json_and_pickle(name: str) -> None:
    trigger = ready(name, 4)
    images, keys = pictures(3).float() / 255, keys_of(3)
    stamped = trigger(images, keys)
    for again in (
        pickle.loads(pickle.dumps(trigger)),
        type(trigger).model_validate_json(trigger.model_dump_json()),
        build_trigger(name, trigger.model_dump(exclude={"seed"}), 4),
    ):
        assert again == trigger
        assert torch.equal(again(images, keys), stamped)


@EVERY
def test_evaluation_stamps_a_trigger_of_its_own_or_the_same(name: str) -> None:
    trigger = ready(name, 4)
    at_test = trigger.at_test()
    assert type(at_test) is type(trigger)
    assert at_test.seed == trigger.seed
    assert at_test.at_test() == at_test
    images, keys = pictures(3).float() / 255, keys_of(3)
    stamped = at_test(images, keys)
    assert 0 <= float(stamped.min()) <= float(stamped.max()) <= 1
    assert torch.equal(stamped, trigger(images, keys)) == (at_test == trigger)


@EVERY
@pytest.mark.parametrize(("height", "width"), [(1, 1), (2, 3), (5, 4)])
def test_images_of_a_few_pixels_are_stamped(name: str, height: int, width: int) -> None:
    images = pictures(2, height, width).float() / 255
    stamped = ready(name)(images, keys_of(2))
    assert stamped.shape == images.shape
    assert 0 <= float(stamped.min()) <= float(stamped.max()) <= 1


@EVERY
def test_the_layout_in_memory_does_not_matter(name: str) -> None:
    trigger = ready(name, 3)
    images, keys = pictures(4).float() / 255, keys_of(4)
    stamped = trigger(images, keys)
    assert torch.equal(trigger(images.contiguous(memory_format=torch.channels_last), keys), stamped)
    one = trigger(images[:1].expand(4, -1, -1, -1), keys)
    assert torch.equal(one, trigger(images[:1].repeat(4, 1, 1, 1), keys))


@EVERY
def test_cover_samples_are_for_triggers_that_have_them(name: str) -> None:
    trigger = ready(name, 3)
    images, keys = pictures(4).float() / 255, keys_of(4)
    if trigger.cover_ratio == 0:
        with pytest.raises(TypeError, match=f"{name} has no cover samples"):
            trigger.cover(images, keys)
        return
    kept = images.clone()
    covered = trigger.cover(images, keys)
    assert torch.equal(images, kept)
    assert covered.shape == images.shape
    assert 0 <= float(covered.min()) <= float(covered.max()) <= 1
    assert not torch.equal(covered, images)
    assert not torch.equal(covered, trigger(images, keys))
    assert torch.equal(trigger.cover(images.flip(0), keys[::-1]), covered.flip(0))


def test_the_registry_names_each_trigger_as_it_names_itself() -> None:
    assert {"badnets": BadNets, "blended": Blended}.items() <= TRIGGERS.items()
    assert all(issubclass(kind, Trigger) and kind.name == name for name, kind in TRIGGERS.items())


@pytest.mark.parametrize(
    ("name", "parameters", "message"),
    [
        ("blend", {}, "unknown trigger 'blend'; did you mean 'blended'"),
        ("xyz", {}, "unknown trigger 'xyz'; known: badclip, badnets, badnets-gaussian, "),
        ("badnet-gaussian", {}, "unknown trigger 'badnet-gaussian'; did you mean 'badnets-gaussian'"),
        ("blended", {"ratios": 0.1}, "ratios: .*; did you mean 'ratio'"),
        ("blended", {"ratio": 0}, "trigger 'blended': ratio: .*greater than 0"),
        ("blended", {"ratio": 1.5}, "ratio: .*less than or equal to 1"),
        ("blended", {"ratio": float("nan")}, "ratio: "),
        ("badnets", {"patch_size": 0}, "patch_size: .*greater than or equal to 1"),
        ("badnets", {"patch_size": 225}, "patch_size: .*less than or equal to 224"),
        ("badnets", {"patch_size": "big"}, "patch_size: .*integer"),
        ("badnets", {"seed": -1}, "seed: "),
        ("badnets", {"place": "fixed"}, "^trigger 'badnets': place is fixed, so at must give row and column"),
    ],
)
def test_bad_names_and_parameters_are_one_line(name: str, parameters: dict[str, object], message: str) -> None:
    with pytest.raises(SpecError, match=message) as caught:
        build_trigger(name, parameters, 0)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("pixels", "side", "expected"),
    [(16, 224, 16), (16, 112, 8), (16, 64, 5), (16, 48, 3), (16, 32, 2), (1, 32, 1), (224, 48, 48), (16, 336, 24)],
)
def test_lengths_scale_from_224(pixels: int, side: int, expected: int) -> None:
    assert scaled(pixels, side) == expected
