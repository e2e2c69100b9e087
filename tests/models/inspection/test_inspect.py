from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import torch

from tbar_ray.errors import CheckpointError
from tbar_ray.models.checkpoint import load_checkpoint
from tbar_ray.models.inspection.inspect import inspect_checkpoint
from tests.models.formats.published import IMAGE_ENCODERS, PUBLISHED, Malicious, cleanclip, direct, own
from tests.models.tiny import GROUP_NORM, RESNET, VIT, snapshot, tiny


@pytest.mark.parametrize("name", PUBLISHED)
def test_every_published_format_is_told_as_loading_sees_it(name: str, tmp_path: Path) -> None:
    writer, architecture = PUBLISHED[name]
    path = writer(state := snapshot(direct(architecture)), tmp_path)
    inspection = inspect_checkpoint(path)
    own_state, form = load_checkpoint(path)
    assert not inspection.problems
    assert inspection.checked
    assert (inspection.format, inspection.entries, inspection.prefix) == (form.name, form.entries, form.prefix)
    assert inspection.evidence == form.evidence
    assert set(inspection.left_out) == set(form.others)
    assert inspection.parameters == sum(value.numel() for value in own_state.values() if value.is_floating_point())
    if name in IMAGE_ENCODERS:
        assert not any(key.startswith("token") for key in own_state)
    base = architecture.partition("@")[0]
    assert inspection.guess.candidates == (base,), state.keys()
    assert inspection.guess.fit.distance == 0
    assert {clue.name.rpartition(".")[2] for clue in inspection.clues}


def test_an_encoder_of_timm_is_told_where_it_is_one_of_ours(tmp_path: Path) -> None:
    assert inspect_checkpoint(own(snapshot(tiny(GROUP_NORM)), tmp_path)).guess.candidates == (GROUP_NORM,)


def test_size_and_hash_are_those_of_the_file(tmp_path: Path) -> None:
    path = own(snapshot(tiny()), tmp_path)
    inspection = inspect_checkpoint(path)
    assert inspection.size == path.stat().st_size
    assert inspection.sha256 == {path.name: hashlib.sha256(path.read_bytes()).hexdigest()}
    json.dumps(inspection.to_dict())


def test_what_cannot_be_told_is_said(tmp_path: Path) -> None:
    inspection = inspect_checkpoint(own(snapshot(tiny()), tmp_path))
    assert inspection.activation.startswith("cannot be told from weights")
    assert inspection.normalisation.startswith("cannot be told from weights")
    told = inspect_checkpoint(cleanclip(snapshot(direct(RESNET)), tmp_path))
    assert told.activation == "QuickGELU (CleanCLIP's model code has QuickGELU alone)"


@pytest.mark.parametrize("cut", [0.2, 0.6, 0.99])
@pytest.mark.parametrize("name", ["own", "CleanCLIP"])
def test_a_truncated_file_is_told_as_far_as_it_can_be_read(name: str, cut: float, tmp_path: Path) -> None:
    writer, architecture = PUBLISHED[name]
    path = writer(snapshot(direct(architecture)), tmp_path)
    path.write_bytes(path.read_bytes()[: int(cut * path.stat().st_size)])
    inspection = inspect_checkpoint(path)
    assert "truncated" in inspection.problems[0]
    assert inspection.guess.candidates == (architecture,)
    assert not inspection.checked
    with pytest.raises(CheckpointError):
        load_checkpoint(path)


def test_damage_gives_a_problem_or_tensors(tmp_path: Path) -> None:
    import random

    whole, rng = (
        cleanclip({"a.weight": torch.zeros(3, 4), "b": torch.tensor(1)}, tmp_path).read_bytes(),
        random.Random(0),
    )
    path = tmp_path / "m.pt"
    problems = 0
    for _ in range(150):
        raw = bytearray(whole)
        for _ in range(rng.randint(1, 4)):
            start, length = rng.randrange(len(raw)), rng.randint(1, 8)
            raw[start : start + length] = rng.randbytes(length)
        path.write_bytes(raw if rng.random() < 0.6 else raw[: rng.randrange(4, len(raw))])
        problems += bool(inspect_checkpoint(path).problems)
    assert problems > 50


def test_half_of_the_names_missing_mixed_prefixes_and_nan_are_problems(tmp_path: Path) -> None:
    state = snapshot(tiny())
    names = sorted(state)
    half = inspect_checkpoint(own({name: state[name] for name in names[::2]}, tmp_path))
    assert half.guess.nearest == VIT
    assert not half.guess.candidates
    assert len(half.guess.fit.missing) == len(names) - len(names[::2])
    mixed = {(f"module.{name}" if row < 5 else name): state[name] for row, name in enumerate(names)}
    assert inspect_checkpoint(own(mixed, tmp_path)).problems == (
        f"5 of {len(names)} names begin with 'module.' and the others do not",
    )
    state["visual.proj"][0, :2] = torch.tensor([float("nan"), float("inf")])
    broken = inspect_checkpoint(own(state, tmp_path))
    assert broken.not_finite == {"visual.proj": (1, 1)}
    assert "1 tensors hold NaN or infinity" in broken.problems[0]


def test_pickled_code_is_named_and_never_runs(tmp_path: Path) -> None:
    content = {"state_dict": snapshot(tiny()), "hook": Malicious(tmp_path / "executed")}
    for zipped in (True, False):
        torch.save(content, tmp_path / "m.pt", _use_new_zipfile_serialization=zipped)
        inspection = inspect_checkpoint(tmp_path / "m.pt")
        assert inspection.unexpected_names == ("posix.mkdir",)
        assert "loading refuses it" in inspection.problems[0]
        assert inspection.guess.candidates == (VIT,)  # it is told all the same
    assert not (tmp_path / "executed").exists()


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
def test_archives_without_a_checkpoint_are_named(tmp_path: Path) -> None:
    torch.jit.save(torch.jit.trace(torch.nn.Linear(2, 2), torch.zeros(1, 2)), tmp_path / "script.pt")
    with zipfile.ZipFile(tmp_path / "other.pt", "w") as archive:
        archive.writestr("photo.jpg", b"x")
    (tmp_path / "noise.pt").write_bytes(b"hello")
    for name, told in (
        ("script", "is a TorchScript archive"),
        ("other", "without a checkpoint"),
        ("noise", "begins as none"),
    ):
        assert told in inspect_checkpoint(tmp_path / f"{name}.pt").problems[0]
    with pytest.raises(CheckpointError, match="no checkpoint at"):
        inspect_checkpoint(tmp_path / "gone.pt")


def test_torch_is_not_imported(tmp_path: Path) -> None:
    """It takes seconds and half a gigabyte, more than all the rest."""
    path = cleanclip(snapshot(direct(RESNET)), tmp_path)
    code = (
        "import sys; from pathlib import Path; from tbar_ray.models.inspection.inspect import inspect_checkpoint; "
        f"assert inspect_checkpoint(Path({str(path)!r})).guess.candidates; assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
