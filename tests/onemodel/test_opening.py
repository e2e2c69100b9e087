"""What is read of a checkpoint, and what is refused."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import torch

from tbar_ray.errors import CheckpointError, SpecError
from tbar_ray.onemodel.opening import file_facts, open_checkpoint
from tests.api.test_artifacts import write_artifact
from tests.models.formats.published import cleanclip, decree, direct, hub, own
from tests.models.tiny import RESNET, VIT, same, snapshot, tiny


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    torch.save(snapshot(tiny(RESNET)), tmp_path / "model.pt")
    return tmp_path / "model.pt"


def test_a_file_is_told_by_its_content_and_its_use_by_evidence(checkpoint: Path) -> None:
    opened = open_checkpoint(checkpoint, RESNET)
    assert opened.facts is not None
    assert opened.facts.sha256 == hashlib.sha256(checkpoint.read_bytes()).hexdigest()
    assert (opened.facts.size, opened.file) == (checkpoint.stat().st_size, checkpoint)
    told = {line.name: line for line in opened.evidence}
    assert told["architecture"].value == RESNET
    assert f"all {len(snapshot(opened.model.module))} tensors" in told["architecture"].why
    assert told["activation"].value == "GELU"
    assert f"{opened.model.preprocessing.size} px" in told["images"].value


def test_an_image_encoder_alone_is_opened_where_it_will_do(tmp_path: Path) -> None:
    state = snapshot(tiny(RESNET))
    own = {name: value for name, value in state.items() if name.startswith("visual.")}
    torch.save(own, tmp_path / "tower.pt")
    with pytest.raises(CheckpointError, match="holds an image encoder alone"):
        open_checkpoint(tmp_path / "tower.pt", RESNET)
    opened = open_checkpoint(tmp_path / "tower.pt", RESNET, encoder_alone=True)
    assert not opened.text_tower
    loaded = snapshot(opened.model.module)
    assert all(torch.equal(loaded[name], value) for name, value in own.items())
    told = {line.name: line for line in opened.evidence}
    assert f"all {len(own)} tensors" in told["architecture"].why
    assert told["text tower"].value == "none"
    torch.save(state, tmp_path / "whole.pt")
    assert open_checkpoint(tmp_path / "whole.pt", RESNET, encoder_alone=True).text_tower


def test_a_tag_has_no_file() -> None:
    opened = open_checkpoint("scenes", "tbar-GN-pico")
    assert (opened.file, opened.facts, opened.campaign) == (None, None, None)


def test_a_campaigns_model_tells_its_architecture(tmp_path: Path) -> None:
    folder = write_artifact(tmp_path, "infected-model-0", 1, "badnets")
    torch.manual_seed(0)
    from tbar_ray.api.model import Model

    architecture = "tbar-RN-pico"
    Model(tiny(architecture), architecture).save(folder / "weights.safetensors")
    for named in (folder, folder / "weights.safetensors"):
        opened = open_checkpoint(named)
        assert opened.model.architecture == architecture
        assert (opened.file, opened.campaign) == (folder / "weights.safetensors", folder)
        assert opened.evidence[0].why.startswith("the campaign's record says so")


def test_a_folder_with_a_configuration_tells_its_architecture(tmp_path: Path) -> None:
    folder = hub(snapshot(direct(VIT)), tmp_path)
    opened = open_checkpoint(folder)
    assert opened.model.architecture == VIT
    assert opened.file == folder
    assert opened.facts is not None
    assert opened.facts.name == "open_clip_model.safetensors"
    assert opened.evidence[0].why.startswith("its open_clip_config.json says so, and all")


def test_an_image_encoder_alone_is_given_a_text_tower(tmp_path: Path) -> None:
    state = snapshot(direct(RESNET))
    encoder, architecture = decree(state, tmp_path), f"{RESNET}@imagenet"
    with pytest.raises(CheckpointError, match="holds an image encoder alone"):
        open_checkpoint(encoder, architecture)
    opened = open_checkpoint(encoder, architecture, text_from=str(own(state, tmp_path)))
    assert same(snapshot(opened.model.module), state)
    assert opened.evidence[-1].name == "text tower"


def test_hashes_are_of_the_whole_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tbar_ray.onemodel.opening.BLOCK", 3)
    (tmp_path / "a").write_bytes(b"1234567")
    assert file_facts(tmp_path / "a").sha256 == hashlib.sha256(b"1234567").hexdigest()


def test_without_an_architecture_a_file_cannot_be_used(checkpoint: Path) -> None:
    with pytest.raises(
        SpecError, match=r"model\.pt: give its architecture too, e\.g\. --architecture ViT-B-32; `tbar model inspect"
    ):
        open_checkpoint(checkpoint)


def test_a_missing_file_is_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no checkpoint at"):
        open_checkpoint(tmp_path / "nowhere.pt")


def test_a_wrong_architecture_is_one_line(checkpoint: Path) -> None:
    with pytest.raises(CheckpointError, match=rf"is not a checkpoint of {VIT}: keys .* missing"):
        open_checkpoint(checkpoint, VIT)


def test_a_truncated_file_is_one_line(checkpoint: Path) -> None:
    checkpoint.write_bytes(checkpoint.read_bytes()[:-5000])
    with pytest.raises(CheckpointError, match=r"model\.pt is not a readable torch checkpoint"):
        open_checkpoint(checkpoint, RESNET)


def test_weights_that_are_no_numbers_are_named(checkpoint: Path) -> None:
    state = snapshot(tiny(RESNET))
    state["visual.conv1.weight"][0, 0, 0, 0] = float("nan")
    torch.save(state, checkpoint)
    with pytest.raises(CheckpointError, match=r"1 of its \d+ tensors hold NaN .*visual\.conv1\.weight"):
        open_checkpoint(checkpoint, RESNET)


def test_what_a_file_says_of_its_model_is_evidence(tmp_path: Path) -> None:
    opened = open_checkpoint(cleanclip(snapshot(direct(RESNET)), tmp_path), f"{RESNET}-quickgelu", device="cpu")
    why = {evidence.name: evidence.why for evidence in opened.evidence}
    assert why["activation"] == "CleanCLIP's model code has QuickGELU alone"
    assert "weights do not tell" in why["normalisation"]


def test_a_folder_is_opened_and_its_weights_are_hashed(tmp_path: Path) -> None:
    folder = hub(snapshot(direct(VIT)), tmp_path)
    opened = open_checkpoint(folder, VIT, device="cpu")
    assert opened.facts == file_facts(folder / "open_clip_model.safetensors")
