"""A search as a stage, and what stands for a backdoor that it found."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tbar_ray.data.synthetic.options import WritingOptions
from tbar_ray.data.synthetic.synth import write_corpus, write_evaluation_set
from tbar_ray.errors import ScientificError
from tbar_ray.execution.stage_task import compute
from tbar_ray.models.checkpoint import save_state_dict
from tbar_ray.models.factory import create_model
from tbar_ray.planning.graph import TrialGraph
from tbar_ray.planning.planner import Planner
from tbar_ray.records.inversion_reader import read_inversion
from tbar_ray.stages.invert import PROXY, ProxyBackdoor
from tbar_ray.stages.likeness import LIKENESS
from tbar_ray.store.store import Store
from tests.specs import spec
from tests.stages.computing import compute_all


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("searched")
    write_corpus(out / "train", WritingOptions(size=16, workers=1), samples=60)
    write_evaluation_set(out / "eval", WritingOptions(size=16, workers=1), per_class=1)
    save_state_dict(create_model("tbar-RN-pico").state_dict(), out / "weights.safetensors")
    return out


def graph(folder: Path, inversion: str, **parameters: Any) -> TrialGraph:
    """A trial on a given model of random weights; nothing is planted."""
    weights = str(folder / "weights.safetensors")
    attack = {"trigger": "badnets", "target": "red circle", "infected": weights}
    made = spec(
        data={"train": str(folder / "train"), "evaluation": str(folder / "eval")},
        model={"architecture": "tbar-RN-pico", "pretrained": weights},
        attacks={"badnets": attack},
        search__axes={"attack": ["badnets"]},
        poison__min_asr=0.0,
        defender__inversion=inversion,
        inversions={inversion: {"parameters": parameters, "images": 32}},
    )
    return Planner(made).plan({"attack": "badnets"}).graph


def proxy_of(made: TrialGraph) -> ProxyBackdoor:
    assert made.likeness is not None
    return made.likeness.proxy


def test_a_search_keeps_its_trigger_and_target_and_is_compared_with_the_true_one(folder: Path, tmp_path: Path) -> None:
    store, made = Store(str(tmp_path)), graph(folder, "universal-noise", steps=2, refine=2, norm=0.3)
    assert made.likeness is not None
    compute_all(made.likeness, store)
    proxy, search = proxy_of(made), proxy_of(made).search
    found = json.loads((store.fetch(search.artifact) / PROXY).read_text())
    assert proxy.build(store).added == found["trigger"]["added"] != ""
    assert proxy.target_in(store) == found["target"]
    facts = store.facts(search.artifact)["facts"]
    assert facts["score"] == found["score"]
    assert len(facts["losses"]) == 4
    record = read_inversion(made, lambda stage, file: json.loads((store.fetch(stage.artifact) / file).read_text()),
                            lambda stage: store.facts(stage.artifact))  # fmt: skip
    assert record is not None
    assert record.target_found == (found["named"] and found["target"] == "red circle")
    assert record.likeness is not None
    assert 0 <= record.likeness.iou <= 1
    assert (store.fetch(made.likeness.artifact) / LIKENESS).is_file()


def test_a_search_that_did_not_converge_is_a_result_and_no_trigger(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tbar_ray.inversion.decree.SIMILAR", 1.0)  # embeddings of random weights are all alike
    store, made = Store(str(tmp_path)), graph(folder, "decree", steps=1, starts=1)
    proxy = proxy_of(made)
    for stage in proxy.search.needed_stages():
        compute_all(stage, store)
    compute(proxy.search, store)
    with pytest.raises(ScientificError, match=r"'decree' did not converge: it found no trigger, which does not make"):
        proxy.build(store)
    with pytest.raises(ScientificError, match="no target found"):
        proxy.target_in(store)
    record = read_inversion(
        made,
        lambda stage, file: json.loads((store.fetch(stage.artifact) / file).read_text()),
        lambda stage: store.facts(stage.artifact),
        lambda stage: store.has(stage.artifact),
    )
    assert record is not None
    assert (record.score, record.target, record.likeness, record.target_found) == (None, None, None, False)
