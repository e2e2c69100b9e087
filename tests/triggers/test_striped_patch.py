import pytest
import torch
from torch import Tensor

from tbar_ray.errors import SpecError
from tbar_ray.seeding import stable_hash
from tbar_ray.triggers.registry import build_trigger
from tbar_ray.triggers.striped_patch import StripedPatch

GREY = torch.full((3, 3, 224, 224), 0.5)


def documented_signs(count: int, *parts: int | str) -> Tensor:
    generator = torch.Generator()
    generator.manual_seed(stable_hash(*parts))
    return 2 * torch.randint(0, 2, (3, count), generator=generator) - 1


def test_each_sample_gets_columns_of_its_own_signs_clipped_to_black_and_white() -> None:
    trigger = StripedPatch(seed=2)
    images = torch.rand(3, 3, 224, 224)
    stamped = trigger(images, list("abc"))
    for key, image, result in zip("abc", images, stamped, strict=True):
        top, left = trigger.corner(key, 224, 224)
        signs = documented_signs(16, 2, "badnets-stripes signs", key)
        expected = image.clone()
        for column in range(16):
            for channel in range(3):
                expected[channel, top : top + 16, left + column] = max(float(signs[channel, column]), 0.0)
        assert torch.equal(result, expected)


def test_signs_are_fair_and_independent() -> None:
    patches = StripedPatch(patch_size=224).patches(GREY[:1].expand(40, -1, -1, -1), [str(key) for key in range(40)])
    columns = patches[:, :, 0]
    assert set(columns.flatten().tolist()) == {0.0, 1.0}
    deviation = 0.5 / columns.numel() ** 0.5
    assert abs(float(columns.mean()) - 0.5) < 4 * deviation
    for other in (columns.roll(1, dims=2), columns.roll(1, dims=1), columns.roll(1, dims=0)):
        assert abs(float((columns == other).double().mean()) - 0.5) < 4 * deviation


def test_without_redraw_all_samples_share_the_stripes_of_the_seed() -> None:
    trigger = StripedPatch(seed=1, redraw=False, place="centre")
    stamped = trigger(GREY, list("abc"))
    signs = documented_signs(16, 1, "badnets-stripes fixed signs")
    expected = ((signs + 1) // 2).float()[:, None, :].expand(3, 16, 16)
    for result in stamped:
        assert torch.equal(result[:, 104:120, 104:120], expected)
    assert not torch.equal(StripedPatch(seed=2, redraw=False, place="centre")(GREY, list("abc")), stamped)


@pytest.mark.parametrize(("side", "size", "width"), [(224, 16, 6), (112, 8, 3), (64, 5, 2), (32, 2, 1)])
def test_a_period_widens_the_stripes_and_the_last_is_cut(side: int, size: int, width: int) -> None:
    trigger = StripedPatch(period=6)
    patch = trigger.patches(torch.zeros(1, 3, side, side), ["k"])[0]
    assert patch.shape == (3, size, size)
    signs = documented_signs(-(-size // width), 0, "badnets-stripes signs", "k")
    for column in range(size):
        expected = (signs[:, column // width] > 0).float()[:, None].expand(3, size)
        assert torch.equal(patch[:, :, column], expected)


@pytest.mark.parametrize("period", [0, -1, 225, 1.5])
def test_an_impossible_period_is_one_line(period: float) -> None:
    with pytest.raises(SpecError, match=r"^trigger 'badnets-stripes': period: [^\n]*$"):
        build_trigger("badnets-stripes", {"period": period}, 0)
