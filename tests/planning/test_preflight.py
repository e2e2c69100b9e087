from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from tbar_ray.data.synthetic.options import WritingOptions
from tbar_ray.data.synthetic.synth import write_corpus, write_evaluation_set
from tbar_ray.errors import DataError, SpecError, TbarError
from tbar_ray.models.checkpoint import save_state_dict
from tbar_ray.planning.foundation import lay_foundation
from tbar_ray.planning.planner import Planner
from tbar_ray.planning.preflight import check_campaign
from tbar_ray.spec.campaign import CampaignSpec
from tbar_ray.stages.data import GivenData
from tests.models.tiny import RESNET, snapshot, tiny
from tests.specs import spec

BAD: dict[str, tuple[dict[str, Any], str]] = {
    "trigger": (
        {"attacks__badnets__trigger": "badnet"},
        "attacks.badnets: unknown trigger 'badnet'; did you mean 'badnets'",
    ),
    "trigger parameter": (
        {"attacks__badnets__parameters": {"patch_sise": 3}},
        "attacks.badnets: trigger 'badnets': patch_sise: Extra inputs are not permitted; did you mean 'patch_size'",
    ),
    "trigger value": (
        {"attacks__blended__parameters": {"ratio": 0}},
        "attacks.blended: trigger 'blended': ratio: Input should be greater than 0",
    ),
    "target": (
        {"attacks__blended__target": "red circel"},
        "attacks.blended.target: 'red circel' is not a class of the evaluation set; did you mean 'red circle'",
    ),
    "method": (
        {"unlearning__method": "tbarr"},
        "unknown unlearning method 'tbarr'; did you mean 'tbar' or 'tbar-layers'",
    ),
    "method axis": (
        {"search__axes__method": ["tbar", "finetun"]},
        "unknown unlearning method 'finetun'; did you mean 'clean-finetuning'?",
    ),
    "method parameter": (
        {"unlearning__parameters": {"stepz": 3}},
        "unlearning method 'tbar': stepz: Extra inputs are not permitted; did you mean 'steps'?",
    ),
    "method value": (
        {"unlearning__parameters": {"steps": 0}},
        "unlearning method 'tbar': steps: Input should be greater than or equal to 1",
    ),
    "architecture": (
        {"model__architecture": "ViT-B32"},
        "unknown model architecture 'ViT-B32'; did you mean 'ViT-B-32'",
    ),
    "pairs": ({"poison__pairs": 401}, "poison.pairs: 401 asked for, but the corpus has 400"),
    "count": (
        {"poison": {"count": 101, "pairs": 100}},
        "attacks.badnets: poison.count: 101 of 100 pairs cannot be poisoned",
    ),
    "forget set": (
        {"forget__size": 381},
        "forget.size: 381 images asked for, but 400 samples less 20 poisoned leave 380",
    ),
    "batches divided under BatchNorm": (
        {"resources": {"training_workers": 2}},
        "resources.training_workers: tbar-RN-tiny: the model's BatchNorm would see a part of every batch; set it to 1",
    ),
    "batches divided, in one trial of an axis": (
        {
            "resources": {"training_workers": 2},
            "model__architecture": "tbar-ViT-tiny",
            "search__axes__model.architecture": ["tbar-ViT-tiny", "tbar-RN-tiny"],
        },
        "search.axes.model.architecture: 'tbar-RN-tiny': resources.training_workers: tbar-RN-tiny: the model's Batch",
    ),
    "batches divided under another planting": (
        {
            "resources": {"training_workers": 2},
            "model__architecture": "tbar-ViT-tiny",
            "attacks__blended__planting": {"method": "stealth"},
        },
        "attacks.blended.planting: resources.training_workers: several workers train with planting 'standard' alone",
    ),
    "merging without another task": (
        {"evaluation": {"downstream": ["int8", "merged"]}},
        "evaluation.downstream: 'merged' adds another task's vector, and there is none for attacks.badnets; give it a",
    ),
    "merging with its own task alone": (
        {
            "evaluation": {"downstream": ["merged"]},
            "tasks": {"night": {"synthetic": "night"}},
            "attacks": {"a": {"trigger": "badnets", "target": "red circle", "task": "night"}},
            "search__axes": {"attack": ["a"]},
        },
        "evaluation.downstream: 'merged' adds another task's vector, and there is none for attacks.a; give it a task",
    ),
    "rebound without pairs": (
        {"evaluation": {"rebound": {}}, "forget__size": 380},
        "evaluation.rebound: no clean pairs are left: 400 samples less 20 poisoned and 380 that the defender holds",
    ),
    "rebound without pairs beside those of the defender": (
        {"evaluation": {"rebound": {}}, "unlearning": {"method": "cleanclip"}, "defender": {"clean_pairs": 379}},
        "evaluation.rebound: no clean pairs are left: 400 samples less 20 poisoned and 379 that the defender holds",
    ),
    "forget axis": (
        {"search__axes__forget_size": [10, 500], "poison__rate": 0.5},
        "search.axes.forget_size: 500: forget.size: 500 images asked for, but 400 samples less 200 poisoned leave 200",
    ),
    "rate axis": (
        {"search__axes__poisoning_rate": [0.01, 0.99], "forget__size": 5},
        "search.axes.poisoning_rate: 0.99: forget.size: 5 images asked for, but 400 samples less 396 poisoned leave 4",
    ),
    "unknown axis": (
        {"search__axes__atack": ["badnets"]},
        "search.axes: unknown axis 'atack'; did you mean 'attack'",
    ),
    "unknown section": (
        {"search__axes": {"attack": ["badnets"], "modle.training.epochs": [1]}},
        "search.axes.modle.training.epochs: no trial has the method 'modle'; did you mean 'model'",
    ),
    "section that is not given": (
        {"model": {"architecture": "ViT-B-32", "pretrained": "openai"}, "search__axes__model.training.epochs": [1]},
        "search.axes.model.training.epochs: the spec has no model.training; give that section first",
    ),
    "end of a range": (
        {"search": {"sampler": "random", "trials": 2, "axes": {"attack": ["badnets"], "seed": {"low": -1, "high": 2}}}},
        "search.axes: seed -1.0: seed: Input should be greater than or equal to 0",
    ),
    "trigger axis": (
        {"search__axes__attacks.badnets.parameters.patch_size": [16, 999]},
        "search.axes.attacks.badnets.parameters.patch_size: 999: attacks.badnets: trigger 'badnets': patch_size: ",
    ),
    "target axis": (
        {"search__axes__attacks.badnets.target": ["red circel"]},
        "search.axes.attacks.badnets.target: 'red circel': attacks.badnets.target: 'red circel' is not a class",
    ),
    "architecture axis": (
        {"search__axes__model.architecture": ["ViT-B32"]},
        "search.axes.model.architecture: 'ViT-B32': unknown model architecture 'ViT-B32'; did you mean 'ViT-B-32'",
    ),
    "corpus axis": (
        {"search__axes__data.synthetic.samples": [400, 21], "forget__size": 21},
        "search.axes.data.synthetic.samples: 21: forget.size: 21 images asked for, but 21 samples less 1 poisoned",
    ),
    "axis that one of the methods does not have": (
        {
            "search__axes": {"attack": ["badnets"], "method": ["tbar", "backdoor-directions"], "learning_rate": [1e-5]},
            "defender": {"clean_pairs": 9, "training_pairs": 9},
        },
        "search.axes.learning_rate: 1e-05: methods.backdoor-directions: unlearning method 'backdoor-directions': "
        "learning_rate: Extra inputs",
    ),
    "rate axis with a count": (
        {"search__axes__poisoning_rate": [0.1], "attacks__badnets__poison": {"count": 3}},
        "search.axes.poisoning_rate: set poison.rate, not poison.count",
    ),
    "two axes": (
        {"search__axes__forget_size": [5, 300], "search__axes__poisoning_rate": [0.01, 0.5]},
        "forget.size: 300 images asked for, but 400 samples less 200 poisoned leave 200",
    ),
}


def problem(made: CampaignSpec, kind: type[TbarError] = SpecError) -> str:
    with pytest.raises(kind) as caught:
        check_campaign(Planner(made))
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("case", BAD)
def test_what_cannot_be_carried_out_is_said_at_once(case: str) -> None:
    changes, message = BAD[case]
    assert problem(spec(**changes)).startswith(message)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"forget__size": 380},
        {"poison": {"count": 100, "pairs": 100}},
        {"model": {"architecture": "ViT-B-32", "pretrained": "openai"}},
        {"search__axes__learning_rate": [1e-5]},
        {"resources": {"training_workers": 2}, "model__architecture": "tbar-GN-pico"},
    ],
)
def test_what_can_be_carried_out_passes(changes: dict[str, Any]) -> None:
    check_campaign(Planner(spec(**changes)))


@pytest.mark.parametrize("name", ["none.safetensors", "none.pt"])
def test_a_missing_checkpoint(tmp_path: Path, name: str) -> None:
    path = str(tmp_path / name)
    assert problem(spec(model={"architecture": "tbar-RN-tiny", "pretrained": path})) == (
        f"model.pretrained: no file {path}"
    )


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shards")
    write_corpus(folder / "train", WritingOptions(size=16, samples_per_shard=10, workers=1), samples=30)
    write_evaluation_set(folder / "eval", WritingOptions(size=16, workers=1), per_class=1)
    return folder


@pytest.fixture
def given(shards: Path, tmp_path: Path) -> Path:
    """Real data of its own for one test: `train` and `eval`."""
    return Path(shutil.copytree(shards, tmp_path / "data"))


def external(folder: Path, **changes: Any) -> CampaignSpec:
    data = {"train": str(folder / "train"), "evaluation": str(folder / "eval")}
    return spec(**{"data": data, "forget__size": 5, **changes})


def test_given_data_passes_and_its_size_is_known(given: Path) -> None:
    made = external(given)
    planner = Planner(made)
    check_campaign(planner)
    assert planner.foundation().samples == 30
    corpus = planner.foundation().corpus
    assert isinstance(corpus, GivenData)
    assert corpus.size == sum(shard.stat().st_size for shard in (given / "train").glob("*.tar"))
    assert problem(external(given, forget__size=29)).endswith("30 samples less 2 poisoned leave 28")
    for stats in (given / "train").glob("*.json"):
        stats.unlink()
    check_campaign(Planner(external(given, forget__size=29)))  # cannot be known before reading


def test_data_means_its_shards_wherever_they_lie(given: Path, shards: Path) -> None:
    here, there = lay_foundation(external(given)), lay_foundation(external(shards))
    assert here.corpus.fingerprint == there.corpus.fingerprint
    assert here.corpus.fingerprint != here.evaluation.fingerprint
    with (given / "train" / "00001.tar").open("ab") as file:
        file.write(b"\0")
    assert lay_foundation(external(given)).corpus.fingerprint != here.corpus.fingerprint


def test_missing_data(given: Path) -> None:
    told = problem(external(given, data__train=str(given / "none")), DataError)
    assert told == f"data.train: no such shard: {given}/none"
    told = problem(external(given, data__train=f"{given}/train/{{00000..00003}}.tar"), DataError)
    assert told == f"data.train: no such shard: {given}/train/00003.tar"
    (given / "empty").mkdir()
    assert problem(external(given, data__train=str(given / "empty")), DataError) == (
        f"data.train: no *.tar in the directory {given}/empty; `tbar data import` makes shards of images"
    )


def test_broken_evaluation_sets(given: Path) -> None:
    names = given / "eval" / "classnames.txt"
    names.write_text("\n")
    assert problem(external(given), DataError) == f"data.evaluation: {names} is empty"
    names.unlink()
    assert re.match(re.escape(f"data.evaluation: {names} cannot be read ("), problem(external(given), DataError))
    empty = given / "nothing"
    empty.mkdir()
    missing = problem(external(given, data__evaluation=str(empty)), DataError)
    assert missing.startswith(f"data.evaluation: {empty}/classnames.txt cannot be read (")
    assert problem(external(given, attacks__badnets__target="a dog"), DataError)


def test_targets_are_classes_of_the_given_set(given: Path) -> None:
    (given / "eval" / "classnames.txt").write_text("\n".join(f"dog {i}" for i in range(60)))
    assert problem(external(given)).startswith("attacks.badnets.target: 'red circle' is not a class of")
    made = external(given, attacks={"one": {"trigger": "badnets", "target": "dog 7"}}, search={})
    check_campaign(Planner(made))


def test_a_checkpoint_means_its_content(tmp_path: Path) -> None:
    models = []
    for name, content in (("a.safetensors", 1.0), ("b.safetensors", 1.0), ("c.safetensors", 2.0)):
        save_state_dict({**snapshot(tiny(RESNET)), "logit_scale": torch.tensor(content)}, tmp_path / name)
        made = spec(model={"architecture": RESNET, "pretrained": str(tmp_path / name)})
        check_campaign(Planner(made))
        models.append(lay_foundation(made).clean.fingerprint)
    assert models[0] == models[1] != models[2]


def test_class_names_and_templates_decide_the_fingerprint(given: Path) -> None:
    before = lay_foundation(external(given)).evaluation.fingerprint
    templates = given / "eval" / "zeroshot_classification_templates.txt"
    templates.write_text(templates.read_text() + "a sketch of a {c}.\n")
    assert lay_foundation(external(given)).evaluation.fingerprint != before


def test_sizes_may_be_written_as_texts() -> None:
    check_campaign(Planner(spec(search__axes={"attack": ["badnets"], "forget_size": [8, "16"]})))
    axes = {"attack": ["badnets"], "forget_size": [8, "sixteen"]}
    assert problem(spec(search__axes=axes)).startswith("search.axes: forget_size 'sixteen': forget.size")
    assert "leave" in problem(spec(search__axes={"attack": ["badnets"], "forget_size": ["8", "1000000"]}))


def test_a_size_that_no_trial_has_is_not_checked() -> None:
    made = spec(forget={"size": 10**6}, search__axes={"attack": ["badnets"], "forget_size": [8, 16]})
    check_campaign(Planner(made))
    with pytest.raises(SpecError, match="leave"):
        check_campaign(Planner(spec(forget={"size": 10**6}, search__axes={"attack": ["badnets"]})))
