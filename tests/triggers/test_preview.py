from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from tbar_ray.errors import SpecError
from tbar_ray.triggers.badclip import random_start
from tbar_ray.triggers.base import stamp_uint8
from tbar_ray.triggers.preview import Preview, listed, preview
from tbar_ray.triggers.registry import build_trigger

KEYS = ["a", "b"]


def images(side: int = 56) -> Tensor:
    return torch.from_numpy(np.random.default_rng(0).integers(0, 256, (2, 3, side, side), dtype=np.uint8))


def previews(name: str, seed: int = 0, **parameters: object) -> list[Preview]:
    return list(preview(name, parameters, images(), KEYS, seed))


def test_most_triggers_have_one() -> None:
    (only,) = previews("badclip/sig", seed=4, amplitude=20)
    assert (only.title, only.detail, only.role) == ("badclip/sig", "sig, amplitude 20, frequency 6", "triggered")
    assert torch.equal(only.clean, images())
    sig = build_trigger("sig", {"amplitude": 20}, 4)
    assert torch.equal(only.changed, stamp_uint8(sig, images(), KEYS))


def test_a_plain_trigger_shows_its_defaults() -> None:
    (only,) = previews("blended-triangles")
    assert only.detail == "blended-triangles, ratio 0.15, cell 14"


def test_another_place_at_test_is_a_second() -> None:
    training, test = previews("detect-clip/badnets")
    assert (training.title, test.title) == ("detect-clip/badnets", "detect-clip/badnets, at test")
    assert test.detail == "place centre"
    changed = (test.changed != test.clean).any(1)
    assert changed[:, 26:30, 26:30].all()
    assert int(changed.sum()) == 2 * 16
    assert not torch.equal(training.changed, test.changed)


def test_cover_samples_are_a_second() -> None:
    stamped, cover = previews("wanet/wanet")
    assert (stamped.role, cover.role) == ("triggered", "cover")
    assert cover.title == "wanet/wanet, cover samples"
    assert "2 per poisoned sample" in cover.detail
    assert not torch.equal(stamped.changed, cover.changed)
    assert len(previews("wanet", cross_ratio=0)) == 1


def test_an_unlearned_patch_shows_where_its_optimisation_starts() -> None:
    (only,) = previews("badclip/badclip", seed=2)
    assert "the optimisation starts from" in only.detail
    expected = images()
    expected[:, :, 26:30, 26:30] = (random_start(2, 4) * 255).round().to(torch.uint8)
    assert torch.equal(only.changed, expected)


@pytest.mark.parametrize(
    ("name", "parameters", "message"),
    [
        ("cleanclip/badnet", {}, "unknown preset .*did you mean"),
        ("badnet", {}, "unknown trigger .*did you mean"),
        ("badclip/sig", {"amplitudes": 3}, "trigger 'sig': amplitudes: .*did you mean 'amplitude'"),
        ("badclip/sig", {"amplitude": -3}, "trigger 'sig': amplitude: "),
    ],
)
def test_bad_names_and_parameters(name: str, parameters: dict[str, object], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        previews(name, **parameters)


def test_parameters_in_words() -> None:
    parameters = {
        "magnitude": 30.0,
        "places": ((31, 31), (1, 2)),
        "redraw": True,
        "at": None,
        "pixels": "",
        "low": 1e-5,
    }
    assert listed(parameters) == "magnitude 30, places ((31, 31), (1, 2)), redraw yes, low 1e-05"
