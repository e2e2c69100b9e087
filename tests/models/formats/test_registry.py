"""Every published format: read bit for bit, computing as open_clip's own model, and written back."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import tbar_ray as tbar
from tbar_ray.errors import CheckpointError
from tbar_ray.models.checkpoint import load_checkpoint
from tests.models.formats.published import IMAGE_ENCODERS, PUBLISHED, content_of, direct, own
from tests.models.tiny import pictures, same, snapshot, tokenizer

EVERY = pytest.mark.parametrize("name", PUBLISHED)


def load(name: str, folder: Path) -> tuple[torch.nn.Module, Path, tbar.Model]:
    writer, architecture = PUBLISHED[name]
    model = direct(architecture)
    path = writer(snapshot(model), folder)
    text = own(snapshot(model), folder) if name in IMAGE_ENCODERS else None
    return model, path, tbar.load_model(architecture, path, text_from=text, device="cpu")


@EVERY
def test_a_published_format_is_read_bit_for_bit_and_computes_as_open_clip_does(name: str, tmp_path: Path) -> None:
    model, _, loaded = load(name, tmp_path)
    assert same(snapshot(model), snapshot(loaded.module))
    images = pictures(model, 3).float() / 255
    tokens = tokenizer()(["a red circle", "a blue square"])
    with torch.no_grad():
        assert torch.equal(model.encode_image(images), loaded.module.encode_image(images))  # type: ignore[operator]
        assert torch.equal(model.encode_text(tokens), loaded.module.encode_text(tokens))  # type: ignore[operator]


@EVERY
def test_it_is_written_back_as_it_came(name: str, tmp_path: Path) -> None:
    _, path, loaded = load(name, tmp_path)
    again = tmp_path / f"again{path.suffix}"
    loaded.save(again)
    before, after = content_of(path), content_of(again)
    assert same(before, after)
    assert {key: value.dtype for key, value in before.items()} == {key: value.dtype for key, value in after.items()}
    for beside in path.glob("*.json"):
        assert (again / beside.name).read_bytes() == beside.read_bytes()
    form = load_checkpoint(path)[1]
    assert load_checkpoint(again)[1] == form
    assert load_checkpoint(again)[1].evidence == form.evidence
    assert load_checkpoint(again)[1].name == form.name


@EVERY
def test_its_name_is_told(name: str, tmp_path: Path) -> None:
    writer, architecture = PUBLISHED[name]
    _, form = load_checkpoint(writer(snapshot(direct(architecture)), tmp_path))
    expected = {"FARE": "state dict", "own": "state dict", "Detect-CLIP": "state dict", "transformers": "Hugging Face"}
    assert form.name.startswith(expected.get(name, name.partition(",")[0].removesuffix(" folder")))


def test_numbers_and_texts_beside_the_weights_are_kept_and_states_of_optimizers_are_not(tmp_path: Path) -> None:
    _, _, loaded = load("PAR", tmp_path)
    loaded.save(tmp_path / "again.pt")
    content = torch.load(tmp_path / "again.pt", weights_only=True)  # no class is left in it
    del content["state_dict"]
    args = {"model": "ViT-B/32"}
    assert content == {"epoch": 2, "best_acc1": 57.5, "args": args, "optimizer": {}, "scaler": {}}


@pytest.mark.parametrize("name", sorted(IMAGE_ENCODERS))
def test_an_image_encoder_alone_never_gets_a_random_text_tower(name: str, tmp_path: Path) -> None:
    writer, architecture = PUBLISHED[name]
    path = writer(snapshot(direct(architecture)), tmp_path)
    with pytest.raises(
        CheckpointError, match=r"holds an image encoder alone: .*text_from='openai'.*--text-from"
    ) as caught:
        tbar.load_model(architecture, path, device="cpu")
    assert "\n" not in str(caught.value)


def test_a_text_tower_for_a_whole_model_is_refused(tmp_path: Path) -> None:
    writer, architecture = PUBLISHED["own"]
    path = writer(snapshot(direct(architecture)), tmp_path)
    with pytest.raises(CheckpointError, match="has a text tower of its own"):
        tbar.load_model(architecture, path, text_from=path, device="cpu")


def test_folders_name_their_architecture_themselves(tmp_path: Path) -> None:
    for name in ("open_clip folder", "transformers"):
        writer, architecture = PUBLISHED[name]
        loaded = tbar.load_model(writer(snapshot(direct(architecture)), tmp_path), device="cpu")
        assert loaded.architecture == architecture
    writer, architecture = PUBLISHED["own"]
    with pytest.raises(tbar.TbarError, match=f"name the architecture too: it fits {architecture}"):
        tbar.load_model(writer(snapshot(direct(architecture)), tmp_path), device="cpu")
