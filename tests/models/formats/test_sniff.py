from __future__ import annotations

import gzip
import io
import tarfile
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from tbar_ray.errors import CheckpointError
from tbar_ray.models.checkpoint import load_state_dict
from tbar_ray.models.inspection.inspect import inspect_checkpoint


def tar() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        info = tarfile.TarInfo("000.jpg")
        info.size = 4
        archive.addfile(info, io.BytesIO(b"abcd"))
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (tar(), "is a tar archive"),
        (gzip.compress(b"weights", mtime=0), "is compressed by gzip"),
        (b"BZh91AY", "is compressed by bzip2"),
        (b"\xfd7zXZ\0", "is compressed by xz"),
        (b"\x28\xb5\x2f\xfd", "is compressed by zstd"),
        (b"7z\xbc\xaf\x27\x1c", "is a 7z archive"),
        (b"", "is empty"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "is a pointer of Git LFS"),
        (b"<!DOCTYPE html><html>", "is a web page"),
    ],
    ids=["tar", "gzip", "bzip2", "xz", "zstd", "7z", "empty", "pointer", "page"],
)
@pytest.mark.parametrize("name", ["m.pt", "m.safetensors"])
def test_what_people_give_for_a_checkpoint_is_named(content: bytes, told: str, name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    for read in (load_state_dict, inspect_checkpoint):
        with pytest.raises(CheckpointError, match=f"^{path} {told}") as caught:
            read(path)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize("legacy", [False, True])
def test_a_file_whose_name_says_the_other_format_is_told(legacy: bool, tmp_path: Path) -> None:
    as_torch, as_safetensors = tmp_path / "m.safetensors", tmp_path / "m.pt"
    torch.save({"a": torch.ones(3)}, as_torch, _use_new_zipfile_serialization=not legacy)
    save_file({"a": torch.ones(3)}, as_safetensors)
    for path, told in (
        (as_torch, r"is a torch file by its content: let its name end in \.pt"),
        (as_safetensors, r"is a safetensors file by its content: let its name end in \.safetensors"),
    ):
        for read in (load_state_dict, inspect_checkpoint):
            with pytest.raises(CheckpointError, match=f"^{path} {told}$"):
                read(path)
