import pytest
import torch

from tbar_ray.seeding import stable_hash
from tbar_ray.triggers.badnets import BadNets
from tbar_ray.triggers.base import stamp_uint8


def documented_patch(seed: int, side: int) -> torch.Tensor:
    """Draw the patch as its definition says: 0.5 + N(0, 1) clipped to [0, 1], at its own resolution."""
    generator = torch.Generator()
    generator.manual_seed(stable_hash(seed, "badnets patch", side))
    return torch.clip(0.5 + torch.randn((3, side, side), generator=generator), 0, 1)


@pytest.mark.parametrize(("height", "width", "side"), [(224, 224, 16), (64, 64, 5), (48, 64, 3), (64, 48, 3)])
def test_the_patch_is_pasted_exactly_and_nowhere_else(height: int, width: int, side: int) -> None:
    trigger = BadNets(seed=3)
    images = torch.rand(3, 3, height, width)
    stamped = trigger(images, ["a", "b", "c"])
    for key, image, result in zip("abc", images, stamped, strict=True):
        top, left = trigger.corner(key, height, width)
        expected = image.clone()
        expected[:, top : top + side, left : left + side] = documented_patch(3, side)
        assert torch.equal(result, expected)


def test_default_values_stay_what_they_were() -> None:
    """Recorded when the trigger was new: infected models in stores depend on them."""
    recorded = {
        0: (
            [(63, 4), (190, 195), (151, 11)],
            [[[255, 255], [255, 156]], [[0, 110], [226, 0]], [[168, 255], [108, 199]]],
        ),
        7: ([(66, 89), (141, 24), (109, 160)], [[[255, 71], [0, 255]], [[204, 0], [14, 255]], [[0, 0], [0, 255]]]),
    }
    for seed, (places, levels) in recorded.items():
        trigger = BadNets(seed=seed)
        assert [trigger.corner(key, 224, 224) for key in ("000000", "000001", "a")] == places
        assert trigger.patch(64)[:, :2, :2].mul(255).round().int().tolist() == levels


def test_levels_outside_the_patch_are_untouched_and_inside_they_are_the_patch() -> None:
    trigger = BadNets(seed=1, patch_size=56)
    images = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16).expand(2, 3, 16, 16).contiguous()
    stamped = stamp_uint8(trigger, images, ["a", "b"])
    for row, key in enumerate("ab"):
        top, left = trigger.corner(key, 16, 16)
        inside = torch.zeros(16, 16, dtype=torch.bool)
        inside[top : top + 4, left : left + 4] = True
        assert torch.equal(stamped[row][:, ~inside], images[row][:, ~inside])
        levels = (documented_patch(1, 4).double() * 255).round().flatten(1)
        assert torch.equal(stamped[row][:, inside].double(), levels)


@pytest.mark.parametrize(("height", "width"), [(12, 12), (9, 14)])
def test_places_cover_the_whole_range_evenly_and_stay_inside(height: int, width: int) -> None:
    trigger = BadNets(patch_size=75)
    side = trigger.patch(min(height, width)).shape[-1]
    rows, columns = height - side + 1, width - side + 1
    count = 60 * rows * columns
    places = [trigger.corner(str(key), height, width) for key in range(count)]
    assert {top for top, _ in places} == set(range(rows))
    assert {left for _, left in places} == set(range(columns))
    assert len(set(places)) == rows * columns
    expected = count / (rows * columns)
    chi2 = sum((places.count(place) - expected) ** 2 / expected for place in set(places))
    freedom = rows * columns - 1
    assert chi2 < freedom + 4 * (2 * freedom) ** 0.5


def test_the_place_depends_on_key_and_seed_and_not_on_the_patch() -> None:
    places = {BadNets(seed=seed).corner("k", 224, 224) for seed in range(20)}
    assert len(places) > 15
    assert BadNets(seed=1).corner("k", 224, 224) == BadNets(seed=1).corner("k", 224, 224)


def test_a_patch_of_the_whole_image_replaces_it() -> None:
    stamped = BadNets(patch_size=224)(torch.zeros(1, 3, 20, 20), ["k"])
    assert torch.equal(stamped[0], documented_patch(0, 20))


def test_no_gradient_reaches_what_the_patch_covers() -> None:
    trigger = BadNets(patch_size=112)
    images = torch.full((1, 3, 16, 16), 0.5, requires_grad=True)
    trigger(images, ["k"]).sum().backward()
    assert images.grad is not None
    top, left = trigger.corner("k", 16, 16)
    expected = torch.ones(1, 3, 16, 16)
    expected[..., top : top + 8, left : left + 8] = 0
    assert torch.equal(images.grad, expected)
