from __future__ import annotations

from pathlib import Path

import pytest

import tbar_ray as tbar
from tbar_ray.errors import CheckpointError
from tbar_ray.models.agreement import require_agreement, with_activation
from tbar_ray.models.architectures import NORMALISATIONS
from tbar_ray.models.formats.evidence import Evidence
from tests.models.formats.published import cleanclip, direct, hub, own, transformers
from tests.models.tiny import RESNET, VIT, snapshot


@pytest.mark.parametrize(
    ("evidence", "architecture", "told"),
    [
        (Evidence(quick_gelu=True, stated=True), "RN50", "name RN50-quickgelu$"),
        (Evidence(quick_gelu=False, stated=True), "RN50-quickgelu@imagenet", "name RN50@imagenet$"),
        (Evidence(quick_gelu=True), "RN50", "name RN50-quickgelu; if it was .* as RN50 all the same"),
        (Evidence(normalisation=NORMALISATIONS["unnormalised"], stated=True), "RN50", "name RN50@unnormalised$"),
        (Evidence(normalisation=NORMALISATIONS["clip"], stated=True), "RN50@imagenet", "name RN50@clip$"),
        (Evidence(normalisation=NORMALISATIONS["imagenet"]), "RN50", "name RN50@imagenet, or RN50@clip"),
        (Evidence(heads=(16, 8), stated=True), "ViT-B-32", "has 12 and 8: name another architecture"),
    ],
)
def test_a_contradiction_names_the_architecture_that_agrees(evidence: Evidence, architecture: str, told: str) -> None:
    with pytest.raises(CheckpointError, match=told) as caught:
        require_agreement(evidence, architecture, "m.pt")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("evidence", "architecture"),
    [
        (Evidence(), "RN50"),
        (Evidence(quick_gelu=True), "RN50-quickgelu"),
        (Evidence(heads=(12, 8)), "ViT-B-32"),
        (Evidence(normalisation=NORMALISATIONS["imagenet"]), "RN50@clip"),  # the user's word against a layout
        (Evidence(normalisation=NORMALISATIONS["clip"], stated=True), "RN50"),
    ],
)
def test_what_agrees_passes(evidence: Evidence, architecture: str) -> None:
    require_agreement(evidence, architecture, "m.pt")


def test_an_architecture_that_has_quickgelu_in_its_configuration_has_no_name_without() -> None:
    assert with_activation("ViT-B-32-quickgelu", False) == "ViT-B-32"
    assert with_activation("ViT-B-32", True) == "ViT-B-32-quickgelu"


def test_files_are_held_against_the_name_under_which_they_are_loaded(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=f"CleanCLIP's model code .*: name {RESNET}-quickgelu"):
        tbar.load_model(RESNET, cleanclip(snapshot(direct(RESNET)), tmp_path), device="cpu")
    state = snapshot(direct(VIT))
    unnormalised = hub(state, tmp_path, mean=[0, 0, 0], std=[1, 1, 1])
    with pytest.raises(CheckpointError, match=f"mean 0 and deviation 1 .*: name {VIT}@unnormalised"):
        tbar.load_model(VIT, unnormalised, device="cpu")
    loaded = tbar.load_model(unnormalised, device="cpu")
    assert loaded.architecture == f"{VIT}@unnormalised"
    assert loaded.preprocessing.mean == (0, 0, 0)
    with pytest.raises(CheckpointError, match="has 3 and 2: name another"):
        tbar.load_model(VIT, transformers(state, tmp_path, num_attention_heads=6), device="cpu")
    assert tbar.load_model(VIT, own(state, tmp_path), device="cpu").architecture == VIT


def test_activations_that_open_clip_lacks_are_refused(tmp_path: Path) -> None:
    place = transformers(snapshot(direct(VIT)), tmp_path, hidden_act="quick_gelu")
    with pytest.raises(CheckpointError, match=r"config\.json names the activation gelu and quick_gelu"):
        tbar.load_model(VIT, place, device="cpu")


def test_a_file_of_another_architecture_is_told_so_before_its_activation(tmp_path: Path) -> None:
    path = cleanclip(snapshot(direct(f"{VIT}-quickgelu")), tmp_path)
    with pytest.raises(CheckpointError, match=f"is not a checkpoint of {RESNET}: "):
        tbar.load_model(RESNET, path, device="cpu")
    with pytest.raises(CheckpointError, match=f"name {VIT}-quickgelu"):
        tbar.load_model(VIT, path, device="cpu")
