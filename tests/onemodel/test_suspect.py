"""What a person may call a trigger."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tbar_ray.data.poison import PoisonPlan
from tbar_ray.data.poison_manifest import PlantedPoison, write_manifest
from tbar_ray.errors import DataError, SpecError
from tbar_ray.onemodel.suspect import suspect
from tbar_ray.triggers.badnets import BadNets
from tbar_ray.triggers.blended import Blended


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    pixels = np.random.default_rng(0).integers(0, 256, (9, 9, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "sticker.png")
    return tmp_path / "sticker.png"


def plant(folder: Path, *planted: tuple[str, str]) -> Path:
    """Write the manifest of a model in which triggers lead to targets."""
    made = {"badnets": BadNets(patch_size=30, seed=5), "blended": Blended(seed=6)}
    folder.mkdir()
    write_manifest(
        folder,
        (
            PlantedPoison(PoisonPlan(target, 0, (), ()), {"name": name, **made[name].model_dump()}, 0)
            for name, target in planted
        ),
    )
    return folder


def test_a_registered_trigger_and_a_preset() -> None:
    named = suspect("badnets", "blue", {"patch_size": 20}, seed=3)
    assert named.backdoor.trigger == BadNets(patch_size=20, seed=3)
    assert (named.backdoor.target, named.origin) == ("blue", "the trigger badnets")
    assert suspect("cleanclip/badnets", "blue").origin == "the preset cleanclip/badnets"


def test_a_picture_is_a_patch_or_blended(picture: Path) -> None:
    images = torch.zeros(1, 3, 32, 32)
    patch = suspect(str(picture), "blue", {"patch_size": 56, "place": "top-left"})
    stamped = patch.backdoor.trigger(images, ["a"])
    assert stamped[..., :8, :8].any()
    assert not stamped[..., 8:, 8:].any()
    assert torch.equal(suspect(f"patch:{picture}", "blue", {"patch_size": 56, "place": "top-left"})
                       .backdoor.trigger(images, ["a"]), stamped)  # fmt: skip
    assert suspect(f"blend:{picture}", "blue").backdoor.trigger(images, ["a"])[..., 20:, 20:].any()
    assert "as a blend" in suspect(f"blend:{picture}", "blue").origin


def test_a_campaigns_manifest_says_trigger_and_target(tmp_path: Path) -> None:
    folder = plant(tmp_path / "infected-model-0", ("badnets", "red circle"))
    found = suspect(str(folder)).backdoor
    assert (found.trigger, found.target) == (BadNets(patch_size=30, seed=5), "red circle")
    assert suspect(str(folder), None, {"patch_size": 40}).backdoor.trigger == BadNets(patch_size=40, seed=5)


def test_of_several_backdoors_one_is_chosen_by_its_target(tmp_path: Path) -> None:
    folder = plant(tmp_path / "both", ("badnets", "red circle"), ("blended", "blue bar"))
    assert suspect(str(folder), "blue bar").backdoor.trigger.name == "blended"
    with pytest.raises(SpecError, match="several backdoors were planted; choose one by its target"):
        suspect(str(folder))
    with pytest.raises(SpecError, match="nothing leads to 'green' there; planted are 'blue bar', 'red circle'"):
        suspect(str(folder), "green")
    same = plant(tmp_path / "same", ("badnets", "red circle"), ("blended", "red circle"))
    with pytest.raises(SpecError, match=r"lead to 'red circle' \(badnets, blended\); name the trigger instead"):
        suspect(str(same))


def test_what_is_wrong_is_said(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"give the target too: .*--target"):
        suspect("badnets")
    with pytest.raises(SpecError, match=r"unknown trigger 'badnet'; did you mean 'badnets'"):
        suspect("badnet", "blue")
    with pytest.raises(DataError, match="cannot read the image"):
        suspect(str(tmp_path / "nowhere.png"), "blue")
    with pytest.raises(DataError, match=r"has no manifest\.json: name a trigger, a picture, or the folder"):
        suspect(str(tmp_path), "blue")
