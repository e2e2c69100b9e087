from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from tbar_ray.data import image_hashes as module
from tbar_ray.data.arrays import ArraySamples
from tbar_ray.data.corpus import Corpus
from tbar_ray.data.folder import FolderSamples
from tbar_ray.data.image_hashes import image_hashes, image_sizes
from tbar_ray.data.samples import Samples

from .tars import noise, picture, sample, write_tar


def sets(folder: Path) -> list[Samples]:
    """Images in shards (of two formats), in a folder, and in an array."""
    (folder / "images").mkdir()
    members = [*sample("a", image=picture(value=1)), ("b.webp", picture(form="WEBP")), ("b.txt", b"x")]
    for number in range(2):
        (folder / "images" / f"{number}.jpg").write_bytes(picture(size=(24, 16 + 20 * number)))
    array = np.stack([noise(9, 8, seed).transpose(2, 0, 1) for seed in range(2)])
    return [
        Corpus.open(str(write_tar(folder / "0.tar", members))),
        FolderSamples(folder / "images"),
        ArraySamples(array),
    ]


def test_sizes_and_hashes_are_those_of_the_bytes(tmp_path: Path) -> None:
    for samples in sets(tmp_path):
        contents = [samples.image_bytes(i) for i in range(len(samples))]
        assert image_sizes(samples).tolist() == [len(content) for content in contents]
        assert image_hashes(samples, [1]) == {1: hashlib.sha256(contents[1]).digest()}


def test_what_cannot_be_read_is_left_out_and_progress_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "AT_ONCE", 1)
    folder = sets(tmp_path)[1]
    (tmp_path / "images" / "0.jpg").unlink()
    counts: list[int] = []
    assert list(image_hashes(folder, [0, 1], counts.append)) == [1]
    assert counts == [1, 1]
