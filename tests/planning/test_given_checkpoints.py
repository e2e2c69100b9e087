"""Checkpoints that a spec gives are looked at before the sweep."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from tbar_ray.errors import SpecError
from tbar_ray.models.checkpoint import save_state_dict
from tbar_ray.models.factory import create_model
from tbar_ray.planning.given_checkpoints import check_checkpoint
from tbar_ray.planning.planner import Planner
from tbar_ray.planning.preflight import check_campaign
from tests.models.formats.published import Malicious, cleanclip, decree, direct, own
from tests.models.tiny import RESNET, VIT, snapshot
from tests.planning.test_given import given
from tests.specs import spec


def test_what_loading_would_refuse_is_said_before_the_sweep(tmp_path: Path) -> None:
    state = snapshot(direct(RESNET))
    path = cleanclip(state, tmp_path)
    with pytest.raises(SpecError, match=rf"^attacks\.badnets\.infected: {path} .*: name {RESNET}-quickgelu"):
        check_campaign(Planner(spec(**{**given(str(path)), "model": {"architecture": RESNET}})))
    with pytest.raises(SpecError, match=rf"^model\.pretrained: {path} .*: name {RESNET}-quickgelu"):
        check_campaign(Planner(spec(model={"architecture": RESNET, "pretrained": str(path)})))
    check_checkpoint(f"{RESNET}-quickgelu", str(path), None, "x")
    check_checkpoint(RESNET, str(own(state, tmp_path)), None, "x")
    with pytest.raises(SpecError, match=rf"is not a checkpoint of {VIT}: its names and shapes are those of {RESNET}$"):
        check_checkpoint(VIT, str(own(state, tmp_path)), None, "x")
    encoder = decree(state, tmp_path)
    with pytest.raises(SpecError, match=r"^x: .* holds an image encoder alone.*tbar model convert"):
        check_checkpoint(f"{RESNET}@imagenet", str(encoder), None, "x")


@pytest.mark.parametrize("architecture", [RESNET, VIT, "tbar-GN-pico"])
def test_a_checkpoint_of_no_known_architecture_is_said_before_the_sweep(tmp_path: Path, architecture: str) -> None:
    path = tmp_path / "m.pt"
    torch.save({"fc.weight": torch.zeros(2, 2)}, path)
    with pytest.raises(SpecError, match=rf"not a checkpoint of {architecture}: it has no tensor of any known"):
        check_checkpoint(architecture, str(path), None, "x")


def test_weights_of_images_of_another_size_are_those_of_a_name_with_a_size(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    save_state_dict(dict(create_model(f"{VIT}@64px").state_dict()), path)
    check_checkpoint(f"{VIT}@64px", str(path), None, "x")
    check_checkpoint(f"{VIT}@128px", str(path), None, "x")
    with pytest.raises(SpecError, match=rf"not a checkpoint of {VIT}: .* of the nearest, {VIT}, 1 tensor of another"):
        check_checkpoint(VIT, str(path), None, "x")
    with pytest.raises(SpecError, match=rf"not a checkpoint of {RESNET}@64px: "):
        check_checkpoint(f"{RESNET}@64px", str(path), None, "x")


def test_half_a_checkpoint_is_said_before_the_sweep(tmp_path: Path) -> None:
    state = snapshot(direct(RESNET))
    path = tmp_path / "half.pt"
    torch.save({key: value for key, value in state.items() if "layer" not in key}, path)
    told = r"it fits no known architecture; of the nearest, \S+, \d+ tensors missing \(e\.g\. "
    with pytest.raises(SpecError, match=rf"not a checkpoint of {RESNET}: {told}"):
        check_checkpoint(RESNET, str(path), None, "x")


def test_a_timm_encoder_whose_shapes_nothing_tells_is_left_to_loading(tmp_path: Path) -> None:
    path = tmp_path / "m.pt"
    torch.save({"visual.trunk.stem.weight": torch.zeros(2, 2), "logit_scale": torch.zeros(())}, path)
    check_checkpoint("ViT-B-16-SigLIP", str(path), None, "x")


def test_a_file_that_was_replaced_is_looked_at_again(tmp_path: Path) -> None:
    path = tmp_path / "m.pt"
    torch.save({"hook": Malicious(tmp_path / "executed")}, path)
    with pytest.raises(SpecError, match=r"would call posix\.mkdir, which no checkpoint needs"):
        check_checkpoint(RESNET, str(path), None, "x")
    torch.save(snapshot(direct(RESNET)), path)
    check_checkpoint(RESNET, str(path), None, "x")


@pytest.mark.parametrize("weights", ["s3://bucket/m.pt", "/nowhere/m.pt"])
def test_places_elsewhere_are_left_to_loading(weights: str) -> None:
    check_checkpoint(RESNET, weights, None, "x")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"model": {"architecture": "ViT-B-32-quickgelu", "pretrained": "openia"}}, "model.pretrained: .*'openia'"),
        (
            {"model": {"architecture": "tbar-GN-pico", "pretrained": "scenez"}},
            r"^model\.pretrained: tbar-GN-pico has no pretrained tag 'scenez' \(known: scenes\) and no such file$",
        ),
        (
            {"model": {"architecture": "ViT-B-32", "pretrained": "laion2b_s34b_b79k"},
             "search": {"axes": {"attack": ["badnets"], "model.pretrained": ["laion2b_s34b_b79k", "datacomp_x"]}}},
            r"search.axes.model.pretrained: .*'datacomp_x'",
        ),
        (
            {"attacks": {"badnets": {"trigger": "badnets", "target": "red circle", "infected": "none"}},
             "search": {"axes": {"attack": ["badnets"]}}},
            r"attacks.badnets.infected: .*'none'",
        ),
    ],
)  # fmt: skip
def test_a_tag_that_does_not_exist_is_told_before_it_would_be_downloaded(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(SpecError, match=said):
        check_campaign(Planner(spec(**changes)))
