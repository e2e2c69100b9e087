"""Bytes of small rich sets, as test_synth_golden.py records those of plain ones, under the same conditions.

The shipped weights were trained on scenes that are drawn so: what changes here, no longer makes them.
"""

import hashlib
from pathlib import Path

import pytest

from tbar_ray.data.synthetic.options import WritingOptions
from tbar_ray.data.synthetic.retrieval_writer import write_retrieval_set
from tbar_ray.data.synthetic.synth import write_corpus, write_evaluation_set
from tests.data.synthetic.test_synth_golden import PLATFORM, pixels_digest, platform, texts_digest

FILES = {
    "corpus/00000.tar": "43ecd72605dc8ab6142102aea95e416d172e45d74fe22b26b7361c729565d2ed",
    "corpus/00001.tar": "7ecebaa18a7baa5ac12eec8ade1ba11dbc6eeed14f1690aa0768250865003c3c",
    "eval/classnames.txt": "2023f271e1b19f0bfdca97808954ce0388bb1ea67ef17b6c31ba0894d560856a",
    "eval/test/0.tar": "e2993e571154e99fe3fc4a2d8c729b0f1ce69a6a757b4e2a370db1ccdf78babe",
    "retrieval/test/0.tar": "4956d4911241c4de6b8172d6a8eb9423d05334daebf9e3b69368bca001f0ecf2",
}
PIXELS = "2a90e1f21f996039af40080ebfae7495cd98dde710b39f7adc46be65c5fc14af"
TEXTS = "d5e414a74f15396f99713e60d27411c5528ae0cad4835e79325850a7414ac363"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("golden")
    write_corpus(
        out / "corpus", WritingOptions(size=32, samples_per_shard=300, seed=7, workers=2), samples=350, scenes="rich"
    )
    write_corpus(
        out / "png", WritingOptions(size=24, seed=3, workers=1, image_format="png"), samples=250, scenes="rich"
    )
    write_evaluation_set(out / "eval", WritingOptions(size=24, seed=7, workers=1), per_class=1, scenes="rich")
    write_retrieval_set(out / "retrieval", WritingOptions(size=24, seed=7, workers=1), pairs=60, scenes="rich")
    return out


def test_texts_are_those_recorded(folder: Path) -> None:
    assert texts_digest(folder) == TEXTS


def test_files_are_those_recorded(folder: Path) -> None:
    if platform() != PLATFORM:
        pytest.skip("another JPEG encoder, or another NumPy on another processor")
    found = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in FILES}
    assert found == FILES
    assert pixels_digest(folder / "png") == PIXELS
