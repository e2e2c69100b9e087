"""Bytes of a small corpus and evaluation set, recorded before their writers were last taken apart.

Artifacts are found by what they are made from, so the same arguments must go on giving the same data. Recorded on
x86-64 with simplejpeg 1.9 and NumPy 2.4; where the JPEG encoder or the last bit of NumPy's sine is another, pictures
may differ, and only the texts are compared.
"""

import hashlib
import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest
import simplejpeg
from PIL import Image

from tbar_ray.data.synthetic.options import WritingOptions
from tbar_ray.data.synthetic.synth import write_corpus, write_evaluation_set

FILES = {
    "corpus/00000.tar": "acd11c25c23d6fb9c892a61639d4689948c4516b41f442b70e4c3e2c9c8e29f2",
    "corpus/00000_stats.json": "714ae473706a907e14cdec04ff4d42242bb7349e3f597537035b9ef846787d18",
    "corpus/00001.tar": "6141c25fe40c6a5c04b2556817421495afe8a3635c18f74a23c7ded5fad75343",
    "corpus/00001_stats.json": "d7a5a51cccd8b53e162ac7802f77b9658fd9f5ea5db792b58fead6d593b1e118",
    "eval/classnames.txt": "e06f067075659c9033bd72fe80732799b76f09a1c644cbde38e2dab29a7f44ac",
    "eval/test/0.tar": "cdca05ffa7875146fd5c9246e9d9f5a7ccab235366d1360ff1fa8474bfe7b429",
    "eval/test/1.tar": "ee8a8aaae13786e2aee6431cc62d76d134c7aa94b96117082bb8328b125a7b6c",
    "eval/test/nshards.txt": "53c234e5e8472b6ac51c1ae1cab3fe06fad053beb8ebfd8977b010655bfdd3c3",
    "eval/zeroshot_classification_templates.txt": "f02eb3e1d02b1db32835f2a2a89d285a809b2b9f021f2239b1641a35ee0b7f07",
}
PIXELS = "d40e35509bc7b5510d07248a05df3e4b243c60899408c58a651fac50a826a038"
TEXTS = "50c719313491cd2ed095d500831701f28d058a82ca7a839f6f63af46e60a9591"
PLATFORM = "3a738b91b50be318e58005e70f1a460beb6ea643dc4998b40bfc06d8717ea36e"


def platform() -> str:
    """Return a digest of what pictures depend on besides our code: NumPy's functions and the JPEG encoder."""
    steps = np.linspace(-20, 20, 4096, dtype=np.float32)
    values = np.concatenate([np.sin(steps), np.cos(steps), np.arctan2(steps, steps[::-1]), np.sqrt(np.abs(steps))])
    grid = np.arange(48 * 48 * 3, dtype=np.int64)
    picture = (grid * grid // 97 % 256).astype(np.uint8).reshape(48, 48, 3)
    jpeg = simplejpeg.encode_jpeg(picture, quality=92, colorsubsampling="444")
    return hashlib.sha256(values.tobytes() + jpeg).hexdigest()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("golden")
    write_corpus(out / "corpus", WritingOptions(size=24, samples_per_shard=100, seed=7, workers=2), samples=150)
    write_corpus(out / "png", WritingOptions(size=16, seed=3, workers=1, image_format="png"), samples=70)
    write_evaluation_set(out / "eval", WritingOptions(size=24, samples_per_shard=100, seed=7, workers=1), per_class=2)
    return out


def members(folder: Path) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    for path in sorted(folder.rglob("*.tar")):
        with tarfile.open(path) as tar:
            for member in tar:
                file = tar.extractfile(member)
                assert file is not None
                found[f"{path.relative_to(folder)}/{member.name}"] = file.read()
    return found


def texts_digest(folder: Path) -> str:
    digest = hashlib.sha256()
    for name, content in members(folder).items():
        if name.endswith(".json"):
            record = json.loads(content)
            del record["sha256"]  # of the picture
            digest.update(f"{name} {json.dumps(record)}\n".encode())
        elif name.endswith((".txt", ".cls")):
            digest.update(f"{name} ".encode() + content + b"\n")
    return digest.hexdigest()


def pixels_digest(folder: Path) -> str:
    """Return a digest of decoded PNGs: their compression is zlib's affair."""
    pictures = [Image.open(io.BytesIO(data)) for name, data in members(folder).items() if name.endswith(".png")]
    return hashlib.sha256(b"".join(np.asarray(picture).tobytes() for picture in pictures)).hexdigest()


def test_texts_are_those_recorded(folder: Path) -> None:
    assert texts_digest(folder) == TEXTS


def test_files_are_those_recorded(folder: Path) -> None:
    if platform() != PLATFORM:
        pytest.skip("another JPEG encoder, or another NumPy on another processor")
    found = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in FILES}
    assert found == FILES
    assert pixels_digest(folder / "png") == PIXELS
