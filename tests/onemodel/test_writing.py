"""The cleaned file: in the format that came in, with the bits of what was not touched."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

import tbar_ray as tbar
from tbar_ray.api.beside import Beside
from tbar_ray.errors import CheckpointError, SpecError
from tbar_ray.onemodel.writing import check_out, cleaned_name, folder_named, write_cleaned
from tests.models.formats.published import Writer, content_of, direct, hub, hub_of_torch, transformers
from tests.models.tiny import VIT, same, snapshot, tiny

TOUCHED = "visual.transformer.resblocks.0.mlp.c_fc.weight"


def moved(original: Path) -> tbar.Model:
    """Load a model and change one of its tensors."""
    model = tbar.load_model(VIT, original, device="cpu")
    with torch.no_grad():
        model.module.get_parameter(TOUCHED).add_(0.25)
    return model


def halves() -> dict[str, Tensor]:
    """Return a state dict in half precision, as OpenAI's checkpoints are."""
    state = snapshot(tiny(VIT)).items()
    return {name: (value.half() if value.is_floating_point() else value).contiguous() for name, value in state}


def test_a_torch_file_keeps_entry_prefix_and_bits(tmp_path: Path) -> None:
    state = {f"module.{name}": value for name, value in halves().items()}
    torch.save({"epoch": 3, "state_dict": state}, tmp_path / "in.pt")
    model = moved(tmp_path / "in.pt")
    assert write_cleaned(model, tmp_path / "in.pt", tmp_path / "out.pt") == [tmp_path / "out.pt"]
    written = torch.load(tmp_path / "out.pt", weights_only=True)["state_dict"]
    assert written.keys() == state.keys()
    for name, value in state.items():
        if name != f"module.{TOUCHED}":
            assert written[name].dtype == value.dtype, name
            assert torch.equal(written[name], value), name
    touched = written[f"module.{TOUCHED}"]
    assert touched.dtype == torch.float32
    assert torch.equal(touched, snapshot(model.module)[TOUCHED])


def test_a_safetensors_file_keeps_its_bits(tmp_path: Path) -> None:
    save_file(halves(), tmp_path / "in.safetensors")
    model = moved(tmp_path / "in.safetensors")
    write_cleaned(model, tmp_path / "in.safetensors", tmp_path / "out.safetensors")
    before, after = load_file(tmp_path / "in.safetensors"), load_file(tmp_path / "out.safetensors")
    assert {name for name in before if not torch.equal(before[name], after[name].to(before[name]))} == {TOUCHED}
    assert {name for name in before if before[name].dtype != after[name].dtype} == {TOUCHED}


@pytest.mark.parametrize(("suffix", "other"), [(".pt", ".safetensors"), (".safetensors", ".bin")])
def test_in_another_type_of_file_names_are_plain_and_scores_the_same(tmp_path: Path, suffix: str, other: str) -> None:
    original, out = tmp_path / f"in{suffix}", tmp_path / f"out{other}"
    state = halves()
    if suffix == ".pt":
        torch.save({"state_dict": {f"module.{name}": value for name, value in state.items()}}, original)
    else:
        save_file(state, original)
    model = moved(original)
    write_cleaned(model, original, out)
    plain = load_file(out) if other == ".safetensors" else torch.load(out, weights_only=True)
    assert plain.keys() == state.keys()
    again = snapshot(tbar.load_model(VIT, out, device="cpu").module)
    assert all(torch.equal(again[name], value) for name, value in snapshot(model.module).items())


def test_what_is_beside_the_weights_is_written_too(tmp_path: Path) -> None:
    torch.save(snapshot(tiny(VIT)), tmp_path / "in.pt")
    model = moved(tmp_path / "in.pt")
    whole = tbar.Model(model.module, VIT, Beside(torch.ones(2, 4), ("a", "b")))
    files = write_cleaned(whole, tmp_path / "in.pt", tmp_path / "out.pt")
    assert files == [tmp_path / "out.pt", tmp_path / "out.beside.safetensors"]
    assert tbar.load_model(VIT, tmp_path / "out.pt", device="cpu").beside.names == ("a", "b")


def test_a_tag_is_written_plainly(tmp_path: Path) -> None:
    model = tbar.Model(tiny(VIT), VIT)
    write_cleaned(model, None, tmp_path / "out.safetensors")
    assert load_file(tmp_path / "out.safetensors").keys() == snapshot(model.module).keys()


def test_a_file_that_was_replaced_meanwhile_is_refused(tmp_path: Path) -> None:
    torch.save(snapshot(tiny(VIT)), tmp_path / "in.pt")
    model = moved(tmp_path / "in.pt")
    torch.save({"other": torch.ones(1)}, tmp_path / "in.pt")
    with pytest.raises(CheckpointError, match="is no longer the file that was read; nothing was written"):
        write_cleaned(model, tmp_path / "in.pt", tmp_path / "out.pt")
    assert not (tmp_path / "out.pt").exists()


def test_the_place_is_checked_before_the_work(tmp_path: Path) -> None:
    (tmp_path / "in.pt").write_bytes(b"")
    assert check_out(tmp_path / "out.pt", tmp_path / "in.pt") == tmp_path / "out.pt"
    with pytest.raises(SpecError, match=r"end its name in \.safetensors, \.pt"):
        check_out(tmp_path / "out.onnx", None)
    with pytest.raises(SpecError, match=r"there is no folder .*nowhere; make it first"):
        check_out(tmp_path / "nowhere" / "out.pt", None)
    with pytest.raises(SpecError, match="is the checkpoint itself, which is kept"):
        check_out(tmp_path / "in.pt", tmp_path / "in.pt")


@pytest.mark.parametrize(
    ("source", "original", "name"),
    [
        ("a/infected.pt", "infected.pt", "infected.cleaned.pt"),
        ("https://host/epoch.1.pt?sig=***", "1f2e.pt", "epoch.1.cleaned.pt"),
        ("store/infected-model-0a", "weights.safetensors", "infected-model-0a.cleaned.safetensors"),
        ("last.ckpt", "last.ckpt", "last.cleaned.safetensors"),
        ("openai", None, "openai.cleaned.safetensors"),
    ],
)
def test_a_name_is_made_of_the_checkpoints(source: str, original: str | None, name: str) -> None:
    assert cleaned_name(source, None if original is None else Path(original)) == name


def test_of_a_folder_the_weights_are_written(tmp_path: Path) -> None:
    folder = hub(snapshot(direct(VIT)), tmp_path)
    out = tmp_path / "cleaned.safetensors"
    assert write_cleaned(tbar.load_model(VIT, folder, device="cpu"), folder, out) == [out]
    assert same(content_of(folder), content_of(out))


@pytest.mark.parametrize("writer", [hub, hub_of_torch, transformers])
def test_a_folder_becomes_a_folder_of_the_same_layout(tmp_path: Path, writer: Writer) -> None:
    folder = writer(snapshot(direct(VIT)), tmp_path)
    (folder / "vocab.json").write_text('{"a": 0}')
    out, before = tmp_path / "it.cleaned", content_of(folder)
    files = write_cleaned(moved(folder), folder, check_out(out, folder))
    assert sorted(files) == sorted(out / path.name for path in folder.iterdir())
    assert files[0].suffix in (".safetensors", ".bin")
    for path in folder.glob("*.json"):
        assert (out / path.name).read_bytes() == path.read_bytes()
    after = content_of(out)
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert before.keys() == after.keys()
    assert len(changed) == 1
    assert same(snapshot(tbar.load_model(VIT, out, device="cpu").module), snapshot(moved(folder).module))


def test_a_folder_is_named_after_the_folder_and_keeps_what_is_beside(tmp_path: Path) -> None:
    folder = hub(snapshot(direct(VIT)), tmp_path)
    assert folder_named(str(folder)) == folder
    assert folder_named(str(tmp_path)) is None
    name = cleaned_name(f"{folder}/", folder)
    assert name == "hub.cleaned"
    whole = tbar.Model(moved(folder).module, VIT, Beside(torch.ones(2, 4), ("a", "b")))
    files = write_cleaned(whole, folder, tmp_path / name)
    assert files[-1] == tmp_path / "hub.cleaned.beside.safetensors"
    assert tbar.load_model(VIT, tmp_path / name, device="cpu").beside.names == ("a", "b")
    assert tbar.load_model(VIT, folder, device="cpu").beside.names == ()


def test_a_folder_is_not_written_over_other_things(tmp_path: Path) -> None:
    folder = hub(snapshot(direct(VIT)), tmp_path)
    assert check_out(tmp_path / "new", folder) == tmp_path / "new"
    (tmp_path / "photos").mkdir()
    assert check_out(tmp_path / "photos", folder) == tmp_path / "photos"
    (tmp_path / "photos" / "1.jpg").write_bytes(b"")
    with pytest.raises(SpecError, match="holds other files; give a new folder"):
        check_out(tmp_path / "photos", folder)
    with pytest.raises(SpecError, match="is a file; give a folder, as the checkpoint is one"):
        check_out(tmp_path / "photos" / "1.jpg", folder)
    with pytest.raises(SpecError, match="is the checkpoint itself"):
        check_out(folder, folder)
    with pytest.raises(SpecError, match="is the checkpoint itself"):
        check_out(folder / "open_clip_model.safetensors", folder)
    (tmp_path / "a.pt").mkdir()
    with pytest.raises(SpecError, match="is a folder; give a file"):
        check_out(tmp_path / "a.pt", None)
