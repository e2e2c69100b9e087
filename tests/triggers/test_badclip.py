import base64

import numpy as np
import pytest
import torch
from scipy.stats import norm

from tbar_ray.errors import SpecError
from tbar_ray.triggers.badclip import BadCLIP, random_start
from tbar_ray.triggers.base import stamp_uint8
from tbar_ray.triggers.registry import build_trigger

LEVELS = np.random.default_rng(0).integers(0, 256, (3, 16, 16), dtype=np.uint8)
PATCH = torch.from_numpy(LEVELS).float() / 255


def test_the_optimised_patch_covers_rows_and_columns_104_to_119() -> None:
    images = torch.randint(0, 256, (2, 3, 224, 224), dtype=torch.uint8)
    expected = images.numpy().copy()
    expected[:, :, 104:120, 104:120] = LEVELS
    assert np.array_equal(stamp_uint8(BadCLIP().with_pixels(PATCH), images, ["a", "b"]).numpy(), expected)


def test_without_pixels_stamping_says_what_to_do() -> None:
    trigger = build_trigger("badclip", {}, 0)
    assert trigger.learned
    with pytest.raises(SpecError, match=r"^trigger 'badclip': its patch is not optimised yet; it is learned by"):
        trigger(torch.zeros(1, 3, 32, 32), ["k"])


def test_the_pixels_change_and_nothing_else() -> None:
    trigger = BadCLIP(seed=4, patch_size=24, place="random", margin=3, test_place="bottom-right")
    ready = trigger.with_pixels(PATCH)
    assert ready.model_dump(exclude={"pixels", "pixels_side"}) == trigger.model_dump(exclude={"pixels", "pixels_side"})
    assert (trigger.pixels, trigger.pixels_side) == ("", 0)
    assert base64.b64decode(ready.pixels) == LEVELS.tobytes()
    assert ready.pixels_side == 16
    assert ready.at_test() == BadCLIP(seed=4, patch_size=24, place="bottom-right", margin=3).with_pixels(PATCH)


def test_pixels_survive_json_to_the_bit_and_floats_are_rounded_to_levels() -> None:
    noisy = (PATCH + 0.4 / 255 * torch.rand(PATCH.shape)).clamp(0, 1).requires_grad_()
    trigger = BadCLIP().with_pixels(noisy)
    again = BadCLIP.model_validate_json(trigger.model_dump_json())
    assert again == trigger == BadCLIP().with_pixels(PATCH.double())
    assert torch.equal(again.patch(224).mul(255).round(), torch.from_numpy(LEVELS).float())


@pytest.mark.parametrize(("side", "size"), [(448, 32), (112, 8), (64, 5), (8, 1)])
def test_at_other_sizes_each_pixel_shows_the_nearest_of_the_patch(side: int, size: int) -> None:
    shown = BadCLIP().with_pixels(PATCH).patch(side).mul(255).round().numpy()
    centres = (np.arange(size) + 0.5) * 16 / size
    nearest = np.floor(centres).astype(int)
    assert np.array_equal(shown, LEVELS[:, nearest][:, :, nearest])


@pytest.mark.parametrize(
    ("patch", "message"),
    [
        (torch.zeros(16, 16), r"must be \[3, s, s\], got \(16, 16\)"),
        (torch.zeros(3, 16, 15), r"must be \[3, s, s\]"),
        (torch.zeros(1, 3, 4, 4), r"must be \[3, s, s\]"),
        (torch.zeros(3, 0, 0), r"must be \[3, s, s\]"),
        (torch.full((3, 4, 4), 1.01), r"must be in \[0, 1\]; clip it"),
        (torch.full((3, 4, 4), float("nan")), r"must be in \[0, 1\]"),
    ],
)
def test_another_shape_or_range_is_refused(patch: torch.Tensor, message: str) -> None:
    with pytest.raises(ValueError, match=f"^badclip: .*{message}"):
        BadCLIP().with_pixels(patch)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"pixels": "!", "pixels_side": 1}, "pixels is not base64; leave it out"),
        ({"pixels": "ü", "pixels_side": 1}, "pixels is not base64; leave it out"),
        ({"pixels": "AAAA", "pixels_side": 2}, "pixels holds 3 bytes, but a patch with pixels_side 2 has 12"),
        ({"pixels": "AAAA"}, "pixels holds 3 bytes, but a patch with pixels_side 0 has 0"),
        ({"pixels_side": 1}, "pixels holds 0 bytes, but a patch with pixels_side 1 has 3"),
        ({"pixel": ""}, "pixel: .*; did you mean 'pixels'"),
    ],
)
def test_damaged_pixels_are_one_line(parameters: dict[str, object], message: str) -> None:
    with pytest.raises(SpecError, match=f"^trigger 'badclip': {message}") as caught:
        build_trigger("badclip", parameters, 0)
    assert "\n" not in str(caught.value)


def test_the_optimisation_starts_from_clipped_noise_of_the_seed() -> None:
    start = random_start(3, 200)
    assert start.shape == (3, 200, 200)
    assert start.dtype == torch.float32
    assert torch.equal(start, random_start(3, 200))
    assert not torch.equal(start, random_start(4, 200))
    for value in (0.0, 0.1, 0.5, 0.8):  # P(x <= v) of N(0.5, 0.25^2); at 0 the mass that clipping collects
        share = norm.cdf((value - 0.5) / 0.25)
        assert float((start <= value).double().mean()) == pytest.approx(share, abs=0.006)
    assert 0 == float(start.min()) < float(start.max()) == 1
