"""The manifest: inputs, edit, data, versions and command, without secrets."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import torch

import tbar_ray as tbar
from tbar_ray.data.folder import FolderSamples
from tbar_ray.errors import CheckpointError
from tbar_ray.onemodel.manifest import described, digest_of, manifest_of, versions, write_manifest
from tbar_ray.onemodel.remove import Cleaned
from tests.onemodel.conftest import QUICK, Files


def test_it_tells_all_that_is_needed_to_do_it_again(files: Files, cleaned: Cleaned, tmp_path: Path) -> None:
    out = tmp_path / "out.pt"
    out.write_bytes(b"weights")
    told = json.loads(json.dumps(manifest_of(cleaned, [out], ["tbar", "unlearn", "x"])))
    assert told["command"] == ["tbar", "unlearn", "x"]
    assert told["files"] == [{"name": "out.pt", "size": 7, "sha256": hashlib.sha256(b"weights").hexdigest()}]
    assert told["input"]["file"]["sha256"] == hashlib.sha256(files.checkpoint.read_bytes()).hexdigest()
    assert told["backdoor"]["trigger"]["name"] == "badnets"
    assert told["backdoor"]["trigger"]["patch_size"] == 56
    assert told["backdoor"]["target"] == "blue"
    assert told["method"]["parameters"]["steps"] == QUICK.parameters["steps"]
    assert (told["alpha"], told["coefficient"]) == (cleaned.alpha, -cleaned.alpha)
    assert told["statistics"] == {"chosen_on": "reestimated", "images": QUICK.forget}
    assert len(told["data"]["forget_and_clean"]["samples"]["triggered"]) == QUICK.forget
    assert (told["data"]["evaluation"]["validation"], told["data"]["evaluation"]["test"]) == (40, 40)
    assert told["scores"]["after"]["asr"]["value"] == cleaned.after.rates()["asr"].value
    assert told["versions"]["tbar-ray"] == tbar.__version__
    assert (
        told["versions"]["torch"] == torch.__version__.split("+")[0] or told["versions"]["torch"] == torch.__version__
    )


def test_secrets_are_left_out(tmp_path: Path) -> None:
    content = {"command": ["tbar", "--images", "https://host/a.tar?X-Amz-Signature=abc123"]}
    path = write_manifest(content, tmp_path / "out.pt")
    assert path == tmp_path / "out.pt.manifest.json"
    assert "abc123" not in path.read_text()
    with pytest.raises(CheckpointError, match="cannot write"):
        write_manifest(content, tmp_path / "nowhere" / "out.pt")


def test_data_are_known_by_keys_and_bytes(files: Files) -> None:
    samples = FolderSamples(files.folder)
    assert digest_of(samples, [0, 1]) == digest_of(samples, [0, 1])
    assert len({digest_of(samples, rows) for rows in ([0, 1], [1, 0], [0], [1])}) == 4


def test_a_triggers_pixels_are_told_by_their_hash() -> None:
    pixels = np.zeros((3, 4, 4), np.uint8)
    told = described(tbar.trigger("patch", image=pixels, patch_size=20))
    assert told["pixels"] == hashlib.sha256(pixels.tobytes()).hexdigest()
    assert (told["name"], told["patch_size"]) == ("patch", 20)
    assert "function" not in described(tbar.trigger(lambda images: images))


def test_versions_are_of_what_decides_the_numbers() -> None:
    assert {"tbar-ray", "torch", "open_clip_torch", "numpy"} <= versions().keys()
