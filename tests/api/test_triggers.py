"""Triggers by name, image and function."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import tbar_ray as tbar
from tbar_ray.errors import DataError, SpecError
from tbar_ray.triggers.badnets import BadNets
from tbar_ray.triggers.base import stamp_uint8
from tbar_ray.triggers.presets import PRESETS

GREY = torch.full((2, 3, 32, 48), 100, dtype=torch.uint8)
KEYS = ["a", "b"]


def test_names_and_presets_are_the_registrys() -> None:
    assert tbar.trigger("badnets", patch_size=20, seed=3) == BadNets(patch_size=20, seed=3)
    preset = PRESETS["backdoorbench/blended"]
    built = tbar.trigger("backdoorbench/blended", ratio=0.3)
    assert (built.name, built.ratio) == (preset.trigger, 0.3)  # type: ignore[attr-defined]
    assert {"badnets", "patch", "blend", "backdoorbench/blended"} <= set(tbar.list_triggers())


def sticker(tmp_path: Path) -> tuple[Path, np.ndarray]:
    levels = np.zeros((8, 8, 3), np.uint8)
    levels[:4], levels[4:] = (250, 10, 20), (10, 240, 30)
    path = tmp_path / "sticker.png"
    Image.fromarray(levels).save(path)
    return path, levels


def test_an_image_is_pasted_as_a_patch(tmp_path: Path) -> None:
    path, levels = sticker(tmp_path)
    for image in (
        path,
        str(path),
        Image.open(path),
        levels.transpose(2, 0, 1),
        torch.tensor(levels / 255).permute(2, 0, 1),
    ):
        patch = tbar.trigger("patch", image=image, patch_size=56, place="bottom-right")
        stamped = stamp_uint8(patch, GREY, KEYS).numpy()
        expected = GREY.numpy().copy()
        expected[:, :, 24:, 40:] = levels.transpose(2, 0, 1)  # 56 px of 224 are 8 of 32
        assert np.array_equal(stamped, expected)


def test_an_image_is_blended_over_the_whole_image() -> None:
    plain = np.full((3, 5, 7), 200, np.uint8)
    stamped = stamp_uint8(tbar.trigger("blend", image=plain, ratio=0.25), GREY, KEYS)
    assert bool((stamped == 125).all())  # 0.75·100 + 0.25·200


def test_two_images_are_two_triggers() -> None:
    dark, light = (tbar.trigger("blend", image=np.full((3, 4, 4), level, np.uint8)) for level in (0, 255))
    assert dark != light
    assert not torch.equal(stamp_uint8(dark, GREY, KEYS), stamp_uint8(light, GREY, KEYS))


def test_a_function_stamps() -> None:
    inverted = tbar.trigger(lambda images: 1 - images)
    assert bool((stamp_uint8(inverted, GREY, KEYS) == 155).all())


def in_place(images: torch.Tensor) -> torch.Tensor:
    return images.mul_(0)


def test_a_function_that_works_in_place_leaves_the_images_alone() -> None:
    images = torch.ones(1, 3, 4, 4)
    assert float(tbar.trigger(in_place)(images, ["a"]).sum()) == 0
    assert float(images.sum()) == 48


@pytest.mark.parametrize(
    ("function", "complaint"),
    [
        (lambda images: images[:, :, :-1], r"must return images \(2, 3, 32, 48\), but returned \(2, 3, 31, 48\)"),
        (lambda _: None, "but returned NoneType"),
        (lambda images: images + 1, r"must return values in \[0, 1\]"),
        (lambda images: images * float("nan"), r"must return values in \[0, 1\]"),
    ],
)
def test_a_function_that_returns_no_images_gets_one_line(function: object, complaint: str) -> None:
    with pytest.raises(DataError, match=complaint):
        stamp_uint8(tbar.trigger(function), GREY, KEYS)  # type: ignore[arg-type]


def test_bad_triggers_get_one_line(tmp_path: Path) -> None:
    for wrong, complaint in (
        ({"what": "badnet"}, "did you mean 'badnets'"),
        ({"what": "badnets", "patch": 3}, "did you mean 'patch_size'"),
        ({"what": "badnets", "patch_size": 300}, "patch_size"),
        ({"what": "cleanclip/badnet"}, "unknown preset"),
        ({"what": "patch"}, "needs an image"),
        ({"what": "badnets", "image": GREY[0]}, "takes no image"),
        ({"what": "patch", "image": GREY[0], "ratio": 0.2}, "ratio"),
        ({"what": in_place, "ratio": 0.2}, "takes no parameters"),
    ):
        with pytest.raises(SpecError, match=complaint):
            tbar.trigger(**wrong)  # type: ignore[arg-type]
    for image, complaint in ((tmp_path / "none.png", "cannot read the image"), (GREY, r"an array \[3, H, W\]")):
        with pytest.raises(DataError, match=complaint):
            tbar.trigger("patch", image=image)
    (tmp_path / "text.png").write_text("no image")
    with pytest.raises(DataError, match="unreadable image"):
        tbar.trigger("blend", image=tmp_path / "text.png")
