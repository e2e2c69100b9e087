import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tbar_ray.unlearning.mixing import pasted, varied


def images(count: int = 6, side: int = 32) -> torch.Tensor:
    """Every image is one level, so that a pixel tells whose it is."""
    return (torch.arange(count, dtype=torch.uint8) * 40)[:, None, None, None].expand(count, 3, side, side).contiguous()


def draw(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@given(seed=st.integers(0, 50), share=st.floats(0, 1))
@settings(max_examples=30)
def test_a_pasted_image_holds_itself_and_one_rectangle_of_one_other(seed: int, share: float) -> None:
    own = images()
    mixed = pasted(own, draw(seed), share)
    for row in range(len(own)):
        foreign = mixed[row, 0] != own[row, 0]
        if not bool(foreign.any()):
            continue
        rows, columns = torch.nonzero(foreign).unbind(1)
        box = foreign[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
        assert bool(box.all())  # a full rectangle
        assert len(mixed[row][:, foreign].unique()) == 1


@pytest.mark.parametrize(("share", "least", "most"), [(0.0, 0.0, 0.0), (1.0, 0.6, 1.0)])
def test_the_share_says_how_many_are_mixed(share: float, least: float, most: float) -> None:
    own = torch.arange(200, dtype=torch.uint8)[:, None, None, None].expand(200, 3, 16, 16).contiguous()
    changed = (pasted(own, draw(), share) != own).flatten(1).any(1).float().mean()
    assert least <= float(changed) <= most


def test_whole_crops_move_nothing_but_light_and_side() -> None:
    own = images()
    seen = varied(own, draw(), 1.0)
    assert seen.shape == own.shape
    assert seen.dtype == torch.uint8
    for row in range(len(own)):  # one level stays one level: no edge, no border of another colour
        assert len(seen[row].unique()) == 1
        assert abs(int(seen[row, 0, 0, 0]) - int(own[row, 0, 0, 0])) <= 0.2 * int(own[row, 0, 0, 0]) + 1


def test_crops_magnify() -> None:
    ramp = torch.arange(64, dtype=torch.uint8)[None, None, None, :].expand(50, 3, 64, 64).contiguous()
    seen = varied(ramp, draw(3), 0.3).float()
    spread = seen.amax((1, 2, 3)) - seen.amin((1, 2, 3))
    assert float(spread.min()) < 50  # some crops show little of the ramp
    assert float(spread.max()) <= 64 * 1.2 * 1.2


@pytest.mark.parametrize("change", [lambda i, g: varied(i, g, 0.5), lambda i, g: pasted(i, g, 0.8)])
def test_the_generator_decides(change: object) -> None:
    own = torch.randint(0, 255, (8, 3, 16, 16), generator=draw(), dtype=torch.uint8)
    same = [change(own, draw(5)) for _ in range(2)]  # type: ignore[operator]
    assert torch.equal(*same)
    assert not torch.equal(same[0], change(own, draw(6)))  # type: ignore[operator]
