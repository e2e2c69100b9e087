from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from tbar_ray.errors import CheckpointError
from tbar_ray.models.checkpoint import is_weights_file, load_checkpoint, load_state_dict
from tbar_ray.models.factory import create_model
from tbar_ray.models.inspection.inspect import inspect_checkpoint
from tests.models.formats.published import Malicious, direct, hub, in_transformers_names, transformers
from tests.models.tiny import VIT, same, snapshot


def test_a_folder_with_a_configuration_names_weights_and_another_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = snapshot(direct(VIT))
    hub(state, tmp_path)
    (tmp_path / "openai").mkdir()
    monkeypatch.chdir(tmp_path)
    assert is_weights_file("hub")
    assert not is_weights_file("openai")
    assert same(state, snapshot(create_model(VIT, pretrained="hub")))  # as campaigns load it


def test_weights_in_several_files_are_read_together(tmp_path: Path) -> None:
    state = snapshot(direct(VIT))
    place, names = transformers(state, tmp_path), in_transformers_names(state)
    (place / "model.safetensors").unlink()
    halves = {"model-1.safetensors": sorted(names)[:40], "model-2.safetensors": sorted(names)[40:]}
    for file, part in halves.items():
        save_file({name: names[name] for name in part}, place / file)
    index = {"weight_map": {name: file for file, part in halves.items() for name in part}}
    (place / "model.safetensors.index.json").write_text(json.dumps(index))
    loaded, form = load_checkpoint(place)
    assert same(state, loaded)
    assert form.weights == "model.safetensors"
    inspection = inspect_checkpoint(place)
    assert inspection.guess.candidates == (VIT,)
    assert inspection.sha256.keys() == halves.keys()
    assert inspection.checked
    for files, told in (({"a": "../model.safetensors"}, "which is not in its folder"), ({}, "lists no files")):
        (place / "model.safetensors.index.json").write_text(json.dumps({"weight_map": files}))
        for read in (load_checkpoint, inspect_checkpoint):
            with pytest.raises(CheckpointError, match=told):
                read(place)


def test_the_folder_of_a_campaigns_model_is_read_by_its_weights(tmp_path: Path) -> None:
    state = snapshot(direct(VIT))
    save_file({name: tensor.contiguous() for name, tensor in state.items()}, tmp_path / "weights.safetensors")
    with pytest.raises(CheckpointError, match="a folder needs"):
        load_state_dict(tmp_path)  # weights alone are no campaign's
    (tmp_path / "artifact.json").write_text("{}")
    assert same(state, load_state_dict(tmp_path))
    inspection = inspect_checkpoint(tmp_path)
    assert inspection.guess.candidates == (VIT,)
    assert inspection.sha256.keys() == {"weights.safetensors"}


def test_what_a_folder_lacks_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"a folder needs open_clip_config\.json or config\.json"):
        load_state_dict(tmp_path)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(CheckpointError, match="has a configuration but no weights"):
        load_state_dict(tmp_path)


def test_pickled_code_in_a_folder_never_runs(tmp_path: Path) -> None:
    mark = tmp_path / "executed"
    (tmp_path / "open_clip_config.json").write_text("{}")
    content = {"state_dict": {"a": torch.zeros(1)}, "payload": Malicious(mark)}
    torch.save(content, tmp_path / "open_clip_pytorch_model.bin")
    with pytest.raises(CheckpointError, match=r"holds pickled objects \(posix\.mkdir\) and is refused"):
        load_state_dict(tmp_path)
    assert inspect_checkpoint(tmp_path).unexpected_names == ("posix.mkdir",)
    assert not mark.exists()
    torch.load(tmp_path / "open_clip_pytorch_model.bin", weights_only=False)
    assert mark.exists()  # the payload was live


@pytest.mark.parametrize("content", ["{", "[1]", '{"model_cfg": {"vision_cfg": {"width": "wide"}}}', "{" * 10**5])
def test_a_damaged_configuration_is_named(content: str, tmp_path: Path) -> None:
    place = hub(snapshot(direct(VIT)), tmp_path)
    (place / "open_clip_config.json").write_text(content)
    with pytest.raises(CheckpointError, match=f"^{place}: open_clip_config.json"):
        load_state_dict(place)


def test_a_configuration_of_transformers_that_says_nonsense_is_named(tmp_path: Path) -> None:
    place = transformers(snapshot(direct(VIT)), tmp_path, num_attention_heads="many")
    with pytest.raises(CheckpointError, match=f"^{place}: its configuration says num_attention_heads 'many'"):
        load_state_dict(place)
    assert "num_attention_heads 'many'" in inspect_checkpoint(place).problems[0]


def test_parts_of_attention_that_do_not_fit_are_named(tmp_path: Path) -> None:
    place = transformers(snapshot(direct(VIT)), tmp_path)
    names = load_file(place / "model.safetensors")
    broken = "text_model.encoder.layers.0.self_attn.k_proj.weight"
    changed = {broken: torch.zeros(5, 5), "text_projection.weight": torch.zeros(3)}
    save_file({**names, **changed}, place / "model.safetensors")
    with pytest.raises(CheckpointError, match=rf"is not a checkpoint of {VIT}: keys .* 4 unexpected .*{broken}"):
        create_model(VIT, pretrained=str(place))
    assert broken in [name for name, _, _ in inspect_checkpoint(place).guess.fit.misshapen]
