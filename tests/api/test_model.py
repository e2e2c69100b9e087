"""Loading, asking and saving a model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

import tbar_ray as tbar
from tbar_ray.api.beside import Beside
from tbar_ray.errors import CheckpointError, DataError, SpecError
from tbar_ray.evaluation.class_prompts import ClassPrompts
from tbar_ray.models.checkpoint import CheckpointFormat
from tests.api.world import CLASSES, infected, labelled, unseen
from tests.models.tiny import RESNET, VIT, WIDE, same, snapshot, tiny
from tests.unlearning.planted import NAMES


def saved(path: Path, prefix: str = "", wrapper: str | None = None) -> Path:
    state = {f"{prefix}{key}": value for key, value in snapshot(tiny()).items()}
    torch.save(state if wrapper is None else {wrapper: state, "epoch": 3}, path)
    return path


@pytest.mark.parametrize(("prefix", "wrapper"), [("", None), ("module.", None), ("module.", "state_dict")])
def test_a_torch_file_is_saved_as_it_came(tmp_path: Path, prefix: str, wrapper: str | None) -> None:
    model = tbar.load_model(VIT, saved(tmp_path / "given.pt", prefix, wrapper), device="cpu")
    assert model.save(tmp_path / "out.pt") == [tmp_path / "out.pt"]
    content = torch.load(tmp_path / "out.pt", weights_only=True)
    state = content if wrapper is None else content[wrapper]
    assert all(key.startswith(prefix) for key in state)
    assert same({key.removeprefix(prefix): value for key, value in state.items()}, snapshot(model.module))


def test_another_type_of_file_gets_plain_names(tmp_path: Path) -> None:
    model = tbar.load_model(VIT, saved(tmp_path / "given.pt", "module.", "state_dict"), device="cpu")
    model.save(tmp_path / "out.safetensors")
    again = tbar.load_model(VIT, tmp_path / "out.safetensors", device="cpu")
    assert again.form == CheckpointFormat(True)
    assert same(snapshot(again.module), snapshot(model.module))


def test_a_loaded_model_is_the_one_that_was_saved(tmp_path: Path) -> None:
    model = infected()
    model.save(tmp_path / "weights.safetensors")
    again = tbar.load_model(WIDE, tmp_path / "weights.safetensors", device="cpu")
    images, _ = labelled(12, 9)
    assert torch.equal(again.predict(images, CLASSES), model.predict(images, CLASSES))
    assert not again.module.training


def test_a_campaigns_model_is_loaded_by_its_folder_or_file(tmp_path: Path) -> None:
    infected().save(tmp_path / "weights.safetensors")
    (tmp_path / "artifact.json").write_text(json.dumps({"architecture": WIDE}))
    for source in (tmp_path, tmp_path / "weights.safetensors"):
        assert same(snapshot(tbar.load_model(source, device="cpu").module), snapshot(infected().module))


def test_predictions_are_those_of_the_planted_model() -> None:
    images, labels = labelled(80, 9)
    answers = infected().predict(images, CLASSES)
    assert infected().predict(images, CLASSES.names).shape == answers.shape, "names alone get OpenAI's templates"
    assert float((answers == torch.tensor(labels)).float().mean()) >= 0.95
    floats = torch.from_numpy(images).float() / 255
    assert torch.equal(infected().predict(floats, CLASSES), answers)


def test_an_own_classifier_is_used_saved_and_loaded(tmp_path: Path) -> None:
    model = infected()
    swapped = model.head(CLASSES)[[1, 0, 2, 3]]
    own = tbar.Model(model.module, model.architecture, Beside(swapped, NAMES))
    images, _ = labelled(40, 9)
    before, after = model.predict(images, CLASSES), own.predict(images, CLASSES)
    assert torch.equal(after, torch.tensor([1, 0, 2, 3])[before])
    written = own.save(tmp_path / "own.pt")
    assert written == [tmp_path / "own.pt", tmp_path / "own.beside.safetensors"]
    again = tbar.load_model(WIDE, tmp_path / "own.pt", device="cpu")
    assert torch.equal(again.predict(images, CLASSES), after)
    with pytest.raises(SpecError, match="is for 4 classes, beginning with 'red'"):
        again.predict(images, tbar.Classes(["cat", "dog"], ["a {}"]))
    # a model without one does not inherit it
    assert model.save(tmp_path / "own.pt") == [tmp_path / "own.pt"]
    assert torch.equal(tbar.load_model(WIDE, tmp_path / "own.pt", device="cpu").predict(images, CLASSES), before)


def test_learned_tokens_change_answers_and_are_kept(tmp_path: Path) -> None:
    plain = tbar.Model(tiny(VIT).eval(), VIT)
    images = unseen(60, plain)
    draw = torch.Generator().manual_seed(0)
    model = tbar.Model(plain.module, VIT, Beside(prompts=10 * torch.randn(2, 4, 96, generator=draw)))
    pixels = images.data.images(images.positions, plain.preprocessing.size, "bicubic")
    answers = model.predict(pixels, CLASSES)
    assert not torch.equal(answers, plain.predict(pixels, CLASSES))
    model.save(tmp_path / "prompted.safetensors")
    again = tbar.load_model(VIT, tmp_path / "prompted.safetensors", device="cpu")
    assert torch.equal(again.predict(pixels, CLASSES), answers)
    assert "own prompts" in repr(again)


def test_what_cannot_be_loaded_gets_one_line(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="did you mean 'tbar-RN-pico'"):
        tbar.load_model("tbar-RN-pic", "openai", device="cpu")
    with pytest.raises(SpecError, match="give weights too"):
        tbar.load_model(WIDE)
    with pytest.raises(CheckpointError, match="has no pretrained tag 'opnai'"):
        tbar.load_model(WIDE, "opnai", device="cpu")
    with pytest.raises(CheckpointError, match="no checkpoint at"):
        tbar.load_model(WIDE, tmp_path / "nothing.pt", device="cpu")
    torch.save({"state_dict": {"a": print}}, tmp_path / "pickled.pt")
    with pytest.raises(CheckpointError, match="is refused"):
        tbar.load_model(WIDE, tmp_path / "pickled.pt", device="cpu")
    with pytest.raises(CheckpointError, match="is not a checkpoint of"):
        tbar.load_model(WIDE, saved(tmp_path / "vit.pt"), device="cpu")


def test_what_cannot_be_saved_or_asked_gets_one_line(tmp_path: Path) -> None:
    model = infected()
    with pytest.raises(CheckpointError, match=r"save as \.safetensors"):
        model.save(tmp_path / "model.zip")
    for name in ("missing/model.pt", "missing/model.safetensors"):
        with pytest.raises(CheckpointError, match="cannot write"):
            model.save(tmp_path / name)
    images, _ = labelled(2, 9)
    with pytest.raises(DataError, match=r"images must be \[N, 3, "):
        model.predict(images[:, :, :-1], CLASSES)
    with pytest.raises(DataError, match="before normalisation"):
        model.predict(images.astype("float32"), CLASSES)


def test_classes_are_embedded_once_as_long_as_the_text_encoder_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    model = tbar.Model(tiny(RESNET).eval(), RESNET)
    embedded: list[object] = []
    original = ClassPrompts.head
    monkeypatch.setattr(ClassPrompts, "head", lambda self, module: embedded.append(module) or original(self, module))
    first, second = tbar.Classes(["a", "b"], ["{}"]), tbar.Classes(["a", "c"], ["{}"])
    head = model.head(first)
    with torch.no_grad():
        model.module.visual.conv1.weight.add_(1)
    assert torch.equal(model.head(first), head)
    assert torch.equal(model.copy().head(tbar.Classes(["a", "b"], ["{}"])), head)
    assert len(embedded) == 1
    model.head(second)
    assert len(embedded) == 2
    with torch.no_grad():
        model.module.token_embedding.weight.mul_(2)
    assert not torch.equal(model.head(first), head)
    assert len(embedded) == 3
