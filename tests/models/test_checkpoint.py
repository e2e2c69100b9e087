import os
import pickle
import random
import warnings
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tbar_ray.errors import CheckpointError
from tbar_ray.models.checkpoint import (
    CheckpointFormat,
    is_weights_file,
    load_checkpoint,
    load_state_dict,
    save_checkpoint,
    save_state_dict,
)
from tbar_ray.models.formats.entries import BESIDES
from tests.models.formats.published import Malicious
from tests.models.tiny import same


def state() -> dict[str, Tensor]:
    return {
        "a.weight": torch.randn(3, 4, 2, 2).to(memory_format=torch.channels_last),
        "a.half": torch.randn(5).half(),
        "a.count": torch.tensor(7),
    }


@pytest.mark.parametrize("name", ["m.safetensors", "m.pt", "m.pth", "m.bin"])
def test_round_trip(name: str, tmp_path: Path) -> None:
    tensors, path = state(), tmp_path / name
    if path.suffix == ".safetensors":
        save_state_dict(tensors, path)
    else:
        torch.save(tensors, path)
    loaded = load_state_dict(path)
    assert same(tensors, loaded)
    assert {key: value.dtype for key, value in loaded.items()} == {k: v.dtype for k, v in tensors.items()}


def test_a_safetensors_file_without_tensors_is_refused(tmp_path: Path) -> None:
    """It was searched for a prefix of all names for ever."""
    save_state_dict({}, tmp_path / "m.safetensors")
    with pytest.raises(CheckpointError, match="holds no tensors"):
        load_state_dict(tmp_path / "m.safetensors")


def test_shared_memory_views_and_gradients_can_be_saved(tmp_path: Path) -> None:
    base = torch.randn(4, 6, requires_grad=True)
    tensors = {"whole": base, "row": base[1], "turned": base.T}
    save_state_dict(tensors, tmp_path / "m.safetensors", {"from": "test"})
    loaded = load_state_dict(tmp_path / "m.safetensors")
    assert same({key: value.detach() for key, value in tensors.items()}, loaded)


def test_only_tensors_that_share_memory_are_copied_before_they_are_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = torch.randn(4, 6)
    copied: list[tuple[int, ...]] = []
    clone = torch.Tensor.clone

    def counted(tensor: torch.Tensor) -> torch.Tensor:
        copied.append(tuple(tensor.shape))
        return clone(tensor)

    monkeypatch.setattr(torch.Tensor, "clone", counted)
    save_state_dict({"one": base, "other": torch.randn(3), "again": base, "row": base[2]}, tmp_path / "m.safetensors")
    assert copied == [(4, 6), (6,)]
    assert torch.equal(load_state_dict(tmp_path / "m.safetensors")["row"], base[2])


def test_a_training_checkpoint_is_unwrapped(tmp_path: Path) -> None:
    tensors = state()
    content = {"epoch": 3, "name": "run", "state_dict": OrderedDict(tensors), "optimizer": {"state": {0: 1.5}}}
    torch.save(content, tmp_path / "m.pt")
    assert same(tensors, load_state_dict(tmp_path / "m.pt"))


@pytest.mark.parametrize(
    "entries", [["generator"], ["checkpoint", "model"], ["teacher"], ["params_ema"], ["a", "b", "c"]]
)
def test_the_only_entry_that_holds_weights_is_taken_whatever_its_name(entries: list[str], tmp_path: Path) -> None:
    tensors = state()
    content: dict[str, object] = dict(tensors)
    for entry in reversed(entries):
        content = {"epoch": 3, entry: content, "optimizer": {"state": {0: {"exp_avg": torch.ones(2)}}}}
    torch.save(content, tmp_path / "m.pt")
    assert same(tensors, load_state_dict(tmp_path / "m.pt"))


def test_a_dictionary_in_thousands_of_places_is_looked_at_once(tmp_path: Path) -> None:
    content: dict[str, object] = {f"{number}": None for number in range(1000)}
    for _ in range(3):
        content = {f"{number}": content for number in range(1000)}  # 10^12 ways through it
    torch.save(content, tmp_path / "m.pt")
    with pytest.raises(CheckpointError, match="holds no state dict"):
        load_state_dict(tmp_path / "m.pt")


def test_of_two_entries_of_other_names_none_is_taken(tmp_path: Path) -> None:
    torch.save({"generator": state(), "discriminator": state()}, tmp_path / "m.pt")
    with pytest.raises(CheckpointError, match=r"found the entries 'generator' \(dict\), 'discriminator' \(dict\)$"):
        load_state_dict(tmp_path / "m.pt")


@pytest.mark.parametrize("prefix", ["", "module.", "module._orig_mod."])
@pytest.mark.parametrize("number", [64, torch.tensor(64)])
def test_openai_s_numbers_are_left_out_behind_any_prefix(prefix: str, number: object, tmp_path: Path) -> None:
    tensors = state()
    content = {**tensors, "input_resolution": number, "context_length": number, "vocab_size": number}
    torch.save({f"{prefix}{key}": value for key, value in content.items()}, tmp_path / "m.pt")
    assert same(tensors, load_state_dict(tmp_path / "m.pt"))


@pytest.mark.parametrize("name", ["m.safetensors", "m.pt"])
def test_the_prefix_of_ddp_is_removed_where_every_key_has_it(name: str, tmp_path: Path) -> None:
    tensors, path = state(), tmp_path / name
    save = save_state_dict if path.suffix == ".safetensors" else torch.save
    save({f"module.{key}": value for key, value in tensors.items()}, path)
    assert same(tensors, load_state_dict(path))
    mixed = {"module.a": torch.ones(2), "b": torch.zeros(1)}
    save(mixed, path)
    assert same(mixed, load_state_dict(path))


@pytest.mark.parametrize("form", ["zip", "legacy", "pickle"])
@pytest.mark.parametrize("wrapped", [True, False])
def test_pickled_code_is_refused_and_never_runs(form: str, wrapped: bool, tmp_path: Path) -> None:
    mark, path = tmp_path / "executed", tmp_path / "m.pt"
    content = {"state_dict": state(), "payload": Malicious(mark)} if wrapped else Malicious(mark)
    if form == "pickle":
        path.write_bytes(pickle.dumps(content, protocol=2))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=form == "zip")
    with pytest.raises(CheckpointError, match=r"holds pickled objects.* is refused") as caught:
        load_state_dict(path)
    assert not mark.exists()
    assert "\n" not in str(caught.value)
    assert "safetensors" in str(caught.value)
    assert f"{os.mkdir.__module__}.mkdir" in str(caught.value)  # it is named
    if form == "pickle":
        pickle.loads(path.read_bytes())
    else:
        torch.load(path, weights_only=False)
    assert mark.exists()  # the payload was live: a loader that trusts the file runs it


def test_a_renamed_pickle_is_no_safetensors(tmp_path: Path) -> None:
    mark, path = tmp_path / "executed", tmp_path / "m.safetensors"
    path.write_bytes(pickle.dumps(Malicious(mark)))
    with pytest.raises(CheckpointError, match="is not a safetensors file"):
        load_state_dict(path)
    assert not mark.exists()


@pytest.mark.parametrize(
    "content",
    [{}, [], torch.zeros(2), "text", {"epoch": 3}, {"state_dict": {}}, {0: torch.zeros(1)}, {"a": [torch.ones(1)]}],
)
def test_what_is_no_state_dict_is_refused(content: object, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "m.pt")
    with pytest.raises(CheckpointError, match="holds no state dict"):
        load_state_dict(tmp_path / "m.pt")


@pytest.mark.parametrize("content", [b"", b"\x80", b"hello world\n", b"<html>404</html>" * 20, bytes(4096)])
@pytest.mark.parametrize("name", ["m.pt", "m.safetensors"])
def test_other_files_are_refused(content: bytes, name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(CheckpointError, match=name) as caught:
        load_state_dict(tmp_path / name)
    assert "\n" not in str(caught.value)


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("form", ["zip", "legacy", "safetensors"])
def test_damage_gives_a_checkpoint_error_or_tensors(form: str, tmp_path: Path) -> None:
    path = tmp_path / ("m.safetensors" if form == "safetensors" else "m.pt")
    if form == "safetensors":
        save_state_dict(state(), path)
    else:
        torch.save(state(), path, _use_new_zipfile_serialization=form == "zip")
    whole, rng = path.read_bytes(), random.Random(0)
    refused: list[str] = []
    for _ in range(250):
        raw = bytearray(whole)
        for _ in range(rng.randint(1, 4)):
            start, length = rng.randrange(len(raw)), rng.randint(1, 8)
            raw[start : start + length] = rng.randbytes(length)
        path.write_bytes(raw if rng.random() < 0.6 else raw[: rng.randrange(len(raw))])
        try:
            loaded = load_state_dict(path)
        except CheckpointError as error:
            refused.append(str(error))
        else:
            assert all(isinstance(value, Tensor) for value in loaded.values())
    assert len(refused) > 50
    assert not any("\n" in message for message in refused)


@pytest.mark.parametrize("name", ["gone.pt", "gone.safetensors", "folder.pt"])
def test_a_missing_file_is_named(name: str, tmp_path: Path) -> None:
    (tmp_path / "folder.pt").mkdir()
    with pytest.raises(CheckpointError, match=f"no checkpoint at {tmp_path / name}"):
        load_state_dict(tmp_path / name)


WRAPPERS: dict[str, tuple[str, ...]] = {
    "_orig_mod.": (),
    "module._orig_mod.": ("state_dict",),
    "_orig_mod.module.": ("model",),
    "_fsdp_wrapped_module._orig_mod.": ("model_state_dict",),
    "model.": ("ema",),
    "module.": ("model", "state_dict"),
    "backbone.clip_model.": ("state_dict",),
    "_module.": (),
}


@pytest.mark.parametrize(("prefix", "entries"), WRAPPERS.items(), ids=WRAPPERS)
def test_wrappers_of_any_nesting_are_taken_off_and_put_on_again(
    prefix: str, entries: tuple[str, ...], tmp_path: Path
) -> None:
    tensors, path, again = state(), tmp_path / "m.pt", tmp_path / "again.pt"
    content: dict[str, Any] = {prefix + key: value for key, value in tensors.items()}
    for entry in reversed(entries):
        content = {"epoch": 3, entry: content, "optimizer": {"state": {0: torch.ones(1)}}}
    torch.save(content, path)
    loaded, form = load_checkpoint(path)
    assert same(tensors, loaded)
    assert form == CheckpointFormat(False, entries, prefix)
    save_checkpoint(loaded, again, form)
    raw = torch.load(again, weights_only=True)
    for entry in entries:
        raw = raw[entry]
    assert same({prefix + key: value for key, value in tensors.items()}, raw)


def test_modules_that_were_compiled_one_by_one_have_their_own_names_again(tmp_path: Path) -> None:
    tensors = {"visual._orig_mod.conv.weight": torch.ones(2), "text.0._checkpoint_wrapped_module.b": torch.zeros(1)}
    torch.save(tensors, tmp_path / "m.pt")
    assert sorted(load_state_dict(tmp_path / "m.pt")) == ["text.0.b", "visual.conv.weight"]
    torch.save({**tensors, "visual.conv.weight": torch.ones(2)}, tmp_path / "m.pt")
    with pytest.raises(CheckpointError, match=r"has visual\.conv\.weight twice"):
        load_state_dict(tmp_path / "m.pt")


def test_trained_weights_come_before_their_average(tmp_path: Path) -> None:
    torch.save({"ema": {"a": torch.zeros(1)}, "model": {"a": torch.ones(1)}}, tmp_path / "m.pt")
    assert load_state_dict(tmp_path / "m.pt")["a"] == 1


@pytest.mark.parametrize("numbers", [torch.tensor(224), 224])
def test_numbers_among_the_weights_are_left_out(numbers: Any, tmp_path: Path) -> None:
    tensors = state()
    torch.save({**tensors, **dict.fromkeys(BESIDES, numbers)}, tmp_path / "m.pt")
    assert same(tensors, load_state_dict(tmp_path / "m.pt"))


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ({"epoch": 3, "args": [1]}, r"found the entries 'epoch' \(int\), 'args' \(list\)"),
        ({"model": {"config": "x"}}, r"found under model the entries 'config' \(str\)"),
        ([1], "found a list"),
        ({}, "found an empty mapping"),
        (dict.fromkeys("abcdefgh", 1), r"'f' \(int\) and 2 more"),
    ],
)
def test_a_refusal_says_what_was_found_and_what_was_expected(content: object, found: str, tmp_path: Path) -> None:
    torch.save(content, tmp_path / "m.pt")
    with pytest.raises(CheckpointError, match=f"expected a mapping of names to tensors.*{found}") as caught:
        load_state_dict(tmp_path / "m.pt")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        ("openai", False),
        ("laion2b_s34b_b79k", False),
        ("m.safetensors", True),
        ("none.pt", True),
        ("~/m", True),
        ("$HOME/m", True),
        ("models/m", True),
        ("s3://bucket/m", True),
        ("bare", True),
    ],
)
def test_what_names_a_file(weights: str, expected: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bare").touch()
    assert is_weights_file(weights) is expected


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
def test_a_torchscript_archive_is_named_and_never_run(tmp_path: Path) -> None:
    torch.jit.save(torch.jit.trace(torch.nn.Linear(2, 2), torch.zeros(1, 2)), tmp_path / "m.pt")
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        with pytest.raises(CheckpointError, match=r"^\S+m\.pt is a TorchScript archive, which holds code[^\n]*$"):
            load_state_dict(tmp_path / "m.pt")


def test_an_average_of_torch_is_read_as_the_model_that_it_is_of(tmp_path: Path) -> None:
    model = torch.nn.Linear(2, 3)
    torch.save(torch.optim.swa_utils.AveragedModel(model).state_dict(), tmp_path / "m.pt")
    assert same(model.state_dict(), load_state_dict(tmp_path / "m.pt"))


def test_whoever_may_read_the_folder_may_read_the_file(tmp_path: Path) -> None:
    for mode, file_mode in ((0o755, 0o644), (0o700, 0o600)):
        tmp_path.chmod(mode)
        save_state_dict({"weight": torch.ones(2)}, tmp_path / "model.safetensors")
        assert (tmp_path / "model.safetensors").stat().st_mode & 0o777 == file_mode
