"""Presets against the published definitions."""

from __future__ import annotations

import numpy as np
import pytest

from tbar_ray.errors import SpecError
from tbar_ray.triggers.patch import PatchTrigger
from tbar_ray.triggers.presets import PRESETS, find_preset, resolve
from tbar_ray.triggers.registry import TRIGGERS
from tests.triggers.published import PUBLISHED, SIDE, Levels, build


@pytest.fixture(scope="module")
def clean() -> Levels:
    return np.random.default_rng(0).integers(0, 256, (2, 3, SIDE, SIDE), dtype=np.uint8)


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_a_preset_is_the_published_attack(name: str, clean: Levels) -> None:
    PUBLISHED[name](name, clean)


def test_presets_are_in_order_and_all_are_compared_with_their_papers() -> None:
    assert list(PRESETS) == sorted(PRESETS) == sorted(PUBLISHED)
    for name, preset in PRESETS.items():
        assert name == preset.name
        assert preset.trigger in TRIGGERS
        assert name.count("/") == 1
        assert "arXiv" in preset.source


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_a_preset_spells_out_its_constants(name: str) -> None:
    """A field that is left to the trigger's default must be one that the others make idle, or the seed."""
    preset = PRESETS[name]
    idle = {"seed", "pixels", "pixels_side"}
    if "patch_size" in preset.parameters:
        idle |= {"at", "test_place"}
        idle |= {"margin"} if preset.parameters["place"] in {"centre", "fixed"} else set()
        idle |= set() if preset.parameters["place"] == "random" else {"inset"}
    assert set(TRIGGERS[preset.trigger].model_fields) - idle <= set(preset.parameters)


def test_label_consistent_presets_change_no_caption() -> None:
    consistent = {name for name, preset in PRESETS.items() if preset.poisoning == "label-consistent"}
    assert consistent == {"cleanclip/label-consistent", "backdoorbench/sig"}
    assert all(PRESETS[name].captions is None for name in consistent)


def test_resolve_gives_what_a_trigger_is_built_from() -> None:
    assert resolve("badnets", {"patch_size": 9}) == ("badnets", {"patch_size": 9})
    assert resolve("no such trigger", {}) == ("no such trigger", {})
    name, parameters = resolve("badclip/sig", {"amplitude": 20, "seed": 7})
    assert (name, parameters) == ("sig", {"amplitude": 20, "frequency": 6, "seed": 7})
    assert PRESETS["badclip/sig"].parameters["amplitude"] == 60
    moved = build("decree/badnets", place="centre", at=None)
    assert isinstance(moved, PatchTrigger)
    assert moved.corner("a", SIDE, SIDE) == (100, 100)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("cleanclip/badnet", "unknown preset 'cleanclip/badnet'; did you mean .*'cleanclip/badnets'"),
        ("a/b", "unknown preset 'a/b'; known: backdoorbench/blended, .*…"),
    ],
)
def test_an_unknown_preset_names_the_nearest(name: str, message: str) -> None:
    for look_up in (find_preset, lambda name: resolve(name, {})):
        with pytest.raises(SpecError, match=message):
            look_up(name)


def test_presets_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        PRESETS["mine/mine"] = PRESETS["wanet/wanet"]  # type: ignore[index]
    with pytest.raises(AttributeError):
        PRESETS["wanet/wanet"].note = ""  # type: ignore[misc]
