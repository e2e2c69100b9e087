import torch

from tbar_ray.inversion.target import infer_target
from tbar_ray.inversion.warp import UniversalWarp, enlarged
from tests.inversion.planted import SIDE, TARGET, subject

SEARCH = UniversalWarp(strength=0.06, grid=4, steps=12, refine=20, at_once=256)


def test_the_target_of_a_shift_is_found_and_its_flow_leads_there() -> None:
    planted = subject("shift", gain=20.0)
    found = SEARCH.invert(planted, 0)
    assert found.target == TARGET
    assert found.score is not None
    assert found.score > 5
    assert found.trigger is not None
    assert found.trigger.flow
    assert not found.trigger.added
    assert infer_target(planted, found.trigger).target == TARGET


def test_no_class_of_a_clean_model_stands_out() -> None:
    score = SEARCH.invert(subject("clean"), 0).score
    assert score is not None
    assert score < 5


def test_a_coarse_flow_moves_neighbours_together_and_a_full_one_is_kept() -> None:
    generator = torch.Generator().manual_seed(0)
    fine, coarse = torch.randn(1, 2, SIDE, SIDE, generator=generator), torch.randn(1, 2, 4, 4, generator=generator)
    torch.testing.assert_close(enlarged(fine, SIDE), fine)
    smooth = enlarged(coarse, SIDE)
    assert smooth.diff(dim=3).abs().mean() < coarse.diff(dim=3).abs().mean() / 3
    torch.testing.assert_close(smooth[..., :: SIDE - 1, :: SIDE - 1], coarse[..., ::3, ::3])


def test_stamps_of_the_search_are_those_of_its_proxy() -> None:
    planted = subject("shift")
    images, flow = planted.images[:4].float() / 255, 0.05 * torch.randn(1, 2, 4, 4)
    stamped = SEARCH.proxy(flow, SIDE)(images, list("abcd"))
    torch.testing.assert_close(SEARCH.stamp(images, flow)[0], stamped, atol=2e-3, rtol=0)
