"""Where patches go, and pasting; what they show is tested by attack."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from tbar_ray.errors import SpecError
from tbar_ray.seeding import stable_hash
from tbar_ray.triggers.patch import PatchTrigger, paste
from tbar_ray.triggers.registry import TRIGGERS, build_trigger
from tbar_ray.triggers.square import Square
from tests.triggers.ready import ready

FAMILY = sorted(name for name, kind in TRIGGERS.items() if issubclass(kind, PatchTrigger))
PLACES = ["random", "centre", "top-left", "top-right", "bottom-left", "bottom-right", "fixed"]


def patch_trigger(name: str = "badnets", seed: int = 0, **parameters: object) -> PatchTrigger:
    trigger = ready(name, seed, **parameters)
    assert isinstance(trigger, PatchTrigger)
    return trigger


@pytest.mark.parametrize(
    ("place", "margin", "corner"),
    [
        ("centre", 0, (104, 104)),
        ("centre", 9, (104, 104)),
        ("top-left", 0, (0, 0)),
        ("top-right", 0, (0, 208)),
        ("bottom-left", 0, (208, 0)),
        ("bottom-right", 0, (208, 208)),
        ("top-left", 15, (15, 15)),
        ("top-right", 15, (15, 193)),
        ("bottom-left", 15, (193, 15)),
        ("bottom-right", 15, (193, 193)),
    ],
)
def test_named_places_at_224(place: str, margin: int, corner: tuple[int, int]) -> None:
    assert patch_trigger(place=place, margin=margin).corner("k", 224, 224) == corner


@pytest.mark.parametrize(
    ("height", "width", "side", "centre", "fixed", "margined"),
    [
        (112, 112, 8, (52, 52), (40, 80), (100, 100)),
        (64, 64, 5, (29, 29), (23, 46), (57, 57)),
        (448, 224, 16, (216, 104), (160, 160), (418, 201)),
        (224, 112, 8, (108, 52), (80, 80), (209, 100)),
        (2, 3, 1, (0, 1), (1, 2), (1, 2)),
        (1, 1, 1, (0, 0), (0, 0), (0, 0)),
    ],
)
def test_places_scale_with_the_image_rows_by_height_and_columns_by_width(
    height: int,
    width: int,
    side: int,
    centre: tuple[int, int],
    fixed: tuple[int, int],
    margined: tuple[int, int],
) -> None:
    assert patch_trigger().side(height, width) == side
    assert patch_trigger(place="centre").corner("k", height, width) == centre
    assert patch_trigger(place="fixed", at=(80, 160)).corner("k", height, width) == fixed
    # 7 px from the borders at 224
    assert patch_trigger(place="bottom-right", margin=7).corner("k", height, width) == margined


@settings(max_examples=200)
@given(data=st.data(), height=st.integers(1, 60), width=st.integers(1, 60), place=st.sampled_from(PLACES))
def test_patches_stay_inside_images_of_any_shape(data: st.DataObject, height: int, width: int, place: str) -> None:
    size = data.draw(st.integers(1, 224))
    margin = data.draw(st.integers(0, min(223, 224 - size)))
    fixed = st.integers(0, min(223, 224 - size))
    at = (data.draw(fixed), data.draw(fixed)) if place == "fixed" else None
    trigger = patch_trigger(patch_size=size, place=place, margin=margin, at=at, seed=data.draw(st.integers(0, 99)))
    side = trigger.side(height, width)
    for key in ("a", "b"):
        top, left = trigger.corner(key, height, width)
        assert 0 <= top <= height - side
        assert 0 <= left <= width - side


@pytest.mark.parametrize("name", FAMILY)
@pytest.mark.parametrize(
    ("margin", "inset", "height", "width", "free"),
    [(0, 0, 224, 224, (0, 0)), (20, 0, 112, 224, (10, 20)), (20, 16, 112, 224, (10, 20))],
)
def test_random_places_are_the_documented_draw(
    name: str, margin: int, inset: int, height: int, width: int, free: tuple[int, int]
) -> None:
    trigger = patch_trigger(name, seed=5, place="random", margin=margin, inset=inset)
    first = inset * height // 224, inset * width // 224
    keys = [f"{number:04d}" for number in range(40)]
    tops, lefts = trigger.corners(keys, height, width)
    assert isinstance(tops, Tensor)
    assert isinstance(lefts, Tensor)
    side = {224: 16, 112: 8}[height]
    for key, top, left in zip(keys, tops.tolist(), lefts.tolist(), strict=True):
        draws = np.random.default_rng(stable_hash(5, f"{name} place", key)).random(2)
        assert top == first[0] + int(draws[0] * (height - side - free[0] - first[0] + 1))
        assert left == first[1] + int(draws[1] * (width - side - free[1] - first[1] + 1))
        assert trigger.corner(key, height, width) == (top, left)


def test_margin_one_repeats_the_published_draw_from_0_to_207() -> None:
    tops, lefts = patch_trigger(margin=1).corners([str(number) for number in range(20_000)], 224, 224)
    for draws in (tops, lefts):
        assert isinstance(draws, Tensor)
        counts = torch.bincount(draws, minlength=208).double()
        assert len(counts) == 208
        expected = 20_000 / 208
        chi2 = float(((counts - expected) ** 2 / expected).sum())
        assert abs(chi2 - 207) < 4 * (2 * 207) ** 0.5


def test_evaluation_moves_the_patch_and_changes_nothing_else() -> None:
    trigger = patch_trigger(seed=3, patch_size=24, place="random", test_place="fixed", at=(185, 185))
    at_test = trigger.at_test()
    assert at_test == patch_trigger(seed=3, patch_size=24, place="fixed", at=(185, 185))
    images = torch.rand(2, 3, 64, 64)
    expected = images.clone()
    expected[:, :, 53:60, 53:60] = trigger.patch(64)  # type: ignore[attr-defined]
    assert torch.equal(at_test(images, ["a", "b"]), expected)
    assert not torch.equal(trigger(images, ["a", "b"]), expected)


def test_without_another_place_evaluation_stamps_the_same() -> None:
    assert patch_trigger().at_test() == patch_trigger()
    moved = patch_trigger(place="fixed", at=(3, 4), test_place="centre").at_test()
    assert moved == patch_trigger(place="centre")
    assert moved.at_test() == moved


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"patch_size": 225}, "patch_size: .*less than or equal to 224"),
        ({"place": "fixed"}, "place is fixed, so at must give row and column"),
        ({"test_place": "fixed"}, "test_place is fixed, so at must give row and column"),
        ({"at": [3, 4]}, "at is for place fixed only, but place is random; drop at or set place to fixed"),
        ({"place": "centre", "at": [3, 4]}, "at is for place fixed only, but place is centre"),
        (
            {"place": "fixed", "at": [3, 209]},
            r"a patch of 16 px at \(3, 209\) leaves the image of 224 px; row and column may be at most 208",
        ),
        ({"place": "fixed", "at": [-1, 3]}, "at.0: .*greater than or equal to 0"),
        ({"place": "fixed", "at": [3]}, "at.1: "),
        ({"place": "fixed", "at": "middle"}, "at: .*tuple"),
        ({"place": "center"}, "place: .*'centre'"),
        ({"margin": -1}, "margin: .*greater than or equal to 0"),
        ({"patch_size": 200, "margin": 25}, "margin 25 and patch_size 200 together exceed 224 px; lower one"),
        (
            {"patch_size": 200, "inset": 20, "margin": 5},
            "inset 20, margin 5 and patch_size 200 together exceed 224 px; lower one",
        ),
        ({"patchsize": 3}, "patchsize: .*; did you mean 'patch_size'"),
    ],
)
@pytest.mark.parametrize("name", ["badnets", "badnets-gaussian-wrapped", "badnets-stripes"])
def test_impossible_places_are_one_clear_line(name: str, parameters: dict[str, object], message: str) -> None:
    with pytest.raises(SpecError, match=rf"^trigger '{name}': {message}") as caught:
        build_trigger(name, parameters, 0)
    assert "\n" not in str(caught.value)
    assert "Value error" not in str(caught.value)


def test_the_largest_patch_at_the_last_place_is_allowed() -> None:
    assert Square(place="fixed", at=(208, 208)).corner("k", 224, 224) == (208, 208)
    assert Square(patch_size=224, place="fixed", at=(0, 0)).corner("k", 64, 64) == (0, 0)
    assert Square(patch_size=224, margin=100, place="centre").corner("k", 64, 64) == (0, 0)


@settings(max_examples=60)
@given(data=st.data(), dtype=st.sampled_from([torch.float32, torch.float64, torch.uint8]), shared=st.booleans())
def test_paste_replaces_the_patch_and_nothing_else(data: st.DataObject, dtype: torch.dtype, shared: bool) -> None:
    count, height, width = (data.draw(st.integers(1, 9)) for _ in range(3))
    rows, columns = data.draw(st.integers(1, height)), data.draw(st.integers(1, width))
    images = torch.randint(0, 256, (count, 3, height, width)).to(dtype)
    patch = torch.randint(0, 256, (3, rows, columns) if shared else (count, 3, rows, columns)).to(dtype)
    tops = data.draw(st.lists(st.integers(0, height - rows), min_size=count, max_size=count))
    lefts = data.draw(st.lists(st.integers(0, width - columns), min_size=count, max_size=count))
    one_place = data.draw(st.booleans())
    if one_place:
        tops, lefts = [tops[0]] * count, [lefts[0]] * count
    expected = images.numpy().copy()
    for index, (top, left) in enumerate(zip(tops, lefts, strict=True)):
        shown = patch if shared else patch[index]
        expected[index, :, top : top + rows, left : left + columns] = shown.numpy()
    kept = images.clone()
    pasted = paste(images, patch, torch.tensor(tops), torch.tensor(lefts))
    assert np.array_equal(pasted.numpy(), expected)
    assert pasted.dtype == dtype
    assert torch.equal(images, kept)
    if one_place:
        assert np.array_equal(paste(images, patch, tops[0], lefts[0]).numpy(), expected)
        assert np.array_equal(paste(images, patch, tops[0], torch.tensor(lefts)).numpy(), expected)
    strided = images.contiguous(memory_format=torch.channels_last)
    assert np.array_equal(paste(strided, patch, torch.tensor(tops), torch.tensor(lefts)).numpy(), expected)


@pytest.mark.parametrize("shape", [(3, 2, 2), (2, 3, 2, 2)])
@pytest.mark.parametrize(("tops", "lefts"), [(1, 3), (torch.tensor([0, 2]), torch.tensor([3, 1]))])
def test_gradients_of_paste_reach_images_and_patch(
    shape: tuple[int, ...], tops: int | Tensor, lefts: int | Tensor
) -> None:
    images = torch.rand(2, 3, 4, 5, dtype=torch.float64, requires_grad=True)
    patch = torch.rand(shape, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x, p: paste(x, p, tops, lefts), (images, patch))
    paste(images, patch, tops, lefts).sum().backward()
    assert images.grad is not None
    assert patch.grad is not None
    assert int((images.grad == 0).sum()) == 2 * 3 * 4  # the pixels that two patches cover
    assert torch.equal(patch.grad, torch.full_like(patch, 2 if patch.ndim == 3 else 1))


@pytest.mark.parametrize(
    ("tops", "lefts", "axis"),
    [
        (7, 0, "row 7"),
        (-1, 0, "row -1"),
        (0, 7, "column 7"),
        (torch.tensor([0, 7]), torch.tensor([0, 0]), "row 7"),
        (torch.tensor([0, 0]), torch.tensor([-2, 0]), "column -2"),
    ],
)
def test_a_patch_that_would_leave_its_image_is_refused(tops: int | Tensor, lefts: int | Tensor, axis: str) -> None:
    with pytest.raises(ValueError, match=f"a patch of 2 px from {axis} leaves 8 px"):
        paste(torch.zeros(2, 3, 8, 8), torch.ones(3, 2, 2), tops, lefts)


@pytest.mark.parametrize("name", FAMILY)
@pytest.mark.parametrize("place", ["random", "centre"])
@pytest.mark.parametrize(("height", "width"), [(64, 64), (17, 31), (1, 1)])
def test_levels_are_those_of_the_float_path(name: str, place: str, height: int, width: int) -> None:
    trigger = patch_trigger(name, 2, place=place, patch_size=56)
    levels = np.random.default_rng(1).integers(0, 256, (5, 3, height, width), dtype=np.uint8)
    images, keys = torch.from_numpy(levels.copy()), list("abcde")
    stamped = trigger.stamp_levels(images, keys)
    floats = trigger(torch.from_numpy(levels.astype(np.float32) / np.float32(255)), keys)
    assert stamped.dtype == torch.uint8
    assert torch.equal(stamped, floats.mul(255).round().to(torch.uint8))
    assert np.array_equal(images.numpy(), levels)


@pytest.mark.parametrize("name", FAMILY)
def test_only_the_square_changes(name: str) -> None:
    trigger = patch_trigger(name, 4, patch_size=40)
    images = torch.rand(6, 3, 48, 64)
    keys = [str(number) for number in range(6)]
    changed = (trigger(images, keys) != images).any(dim=1)
    for key, mask in zip(keys, changed, strict=True):
        top, left = trigger.corner(key, 48, 64)
        assert int(mask[top : top + 9, left : left + 9].sum()) > 70
        assert int(mask.sum()) == int(mask[top : top + 9, left : left + 9].sum())
