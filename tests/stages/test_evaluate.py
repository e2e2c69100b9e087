from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tbar_ray.data.synthetic.options import WritingOptions
from tbar_ray.data.synthetic.retrieval_writer import write_retrieval_set
from tbar_ray.data.synthetic.synth import write_corpus, write_evaluation_set
from tbar_ray.errors import DataError
from tbar_ray.execution.stage_task import compute
from tbar_ray.models.checkpoint import save_state_dict
from tbar_ray.models.factory import create_model
from tbar_ray.planning.planner import Planner
from tbar_ray.stages.evaluate import SCORES
from tbar_ray.store.store import Store
from tests.specs import spec


@pytest.fixture(scope="module")
def damaged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sets in which one image of the evaluation and one of the retrieval set cannot be read, and weights."""
    out = tmp_path_factory.mktemp("damaged")
    write_corpus(out / "train", WritingOptions(size=16, workers=1), samples=4)
    write_evaluation_set(out / "eval", WritingOptions(size=16, samples_per_shard=120, workers=1), per_class=2)
    write_retrieval_set(out / "pairs", WritingOptions(size=16, workers=1), pairs=12)
    for name, key in (("eval", b"e000000007.jpg"), ("pairs", b"r000000003.jpg")):
        shard = out / name / "test" / "0.tar"
        data = bytearray(shard.read_bytes())
        start = data.index(key) + 512
        data[start : start + 200] = bytes(200)
        shard.write_bytes(data)
    save_state_dict(create_model("tbar-RN-pico").state_dict(), out / "clean.safetensors")
    return out


def scored(folder: Path, store: Store, on_error: str) -> dict[str, Any]:
    """Score the clean model; return the facts, and the scores."""
    places = {"train": str(folder / "train"), "evaluation": str(folder / "eval"), "retrieval": str(folder / "pairs")}
    model = {"architecture": "tbar-RN-pico", "pretrained": str(folder / "clean.safetensors")}
    made = spec(data={**places, "on_error": on_error}, model=model, forget__size=1)
    stage = Planner(made).plan({"attack": "badnets"}).graph.clean
    assert stage is not None
    compute(stage, store)
    return {**store.facts(stage.artifact)["facts"], **json.loads((store.fetch(stage.artifact) / SCORES).read_text())}


def test_images_that_cannot_be_read_are_left_out_and_named(damaged: Path, tmp_path: Path) -> None:
    found = scored(damaged, Store(str(tmp_path)), "warn")
    assert found["validation"]["ca"]["n"] + found["test"]["ca"]["n"] == 119
    assert found["retrieval"]["image_to_text_at_1"]["n"] == 11
    evaluation, retrieval = found["lost"]
    assert evaluation.startswith(f"{damaged}/eval/test/0.tar: e000000007: unreadable image")
    assert retrieval.startswith(f"{damaged}/pairs/test/0.tar: r000000003: unreadable image")


def test_or_they_end_the_stage(damaged: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"eval/test/0\.tar: e000000007: unreadable image"):
        scored(damaged, Store(str(tmp_path)), "error")
