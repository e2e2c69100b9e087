"""Stages on data and checkpoints that are not as they should be; readers are real Ray actors."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest
import torch

from tbar_ray.data.corpus import Corpus
from tbar_ray.data.synthetic.options import WritingOptions
from tbar_ray.data.synthetic.synth import write_corpus, write_evaluation_set
from tbar_ray.errors import CheckpointError, DataError, ScientificError, ShardChangedError, TbarError
from tbar_ray.execution.stage_task import compute
from tbar_ray.models.checkpoint import load_state_dict, save_state_dict
from tbar_ray.models.factory import create_model
from tbar_ray.planning.graph import TrialGraph
from tbar_ray.planning.planner import Planner
from tbar_ray.spec.campaign import CampaignSpec
from tbar_ray.stages.models import CleanModel
from tbar_ray.stages.node import Policy
from tbar_ray.stages.training import WEIGHTS
from tbar_ray.store.store import Store
from tests.data.tars import write_tar
from tests.specs import spec
from tests.stages.computing import compute_all, compute_trial

pytestmark = [pytest.mark.ray, pytest.mark.timeout(600)]

ARCHITECTURE = "tbar-RN-pico"
TRAINING = {"epochs": 1, "batch_size": 16, "optimisation": {"learning_rate": 1e-3, "warmup_steps": 1}}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Given data of 40 samples; of those in `train` the first has a broken image, the second no caption."""
    folder = tmp_path_factory.mktemp("given")
    write_corpus(folder / "whole", WritingOptions(size=64, samples_per_shard=40, workers=1), samples=40)
    write_evaluation_set(folder / "eval", WritingOptions(size=64, workers=1), per_class=2)
    members = []
    with tarfile.open(folder / "whole" / "00000.tar") as tar:
        for member in tar:
            content = tar.extractfile(member)
            assert content is not None
            members.append((member.name, content.read()))
    keys = list(dict.fromkeys(name.split(".")[0] for name, _ in members))
    changed = {f"{keys[0]}.jpg": b"\xff\xd8\xff broken", f"{keys[1]}.txt": b"", f"{keys[1]}.json": b"{}"}
    assert changed.keys() <= {name for name, _ in members}
    (folder / "train").mkdir()
    write_tar(folder / "train" / "00000.tar", [(name, changed.get(name, content)) for name, content in members])
    return folder


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(str(tmp_path / "store"))


def given(data: Path, shards: str = "train", **changes: Any) -> CampaignSpec:
    settings: dict[str, Any] = {
        "data": {"train": str(data / shards), "evaluation": str(data / "eval")},
        "model": {"architecture": ARCHITECTURE, "training": TRAINING},
        "poison": {"count": 5, "min_asr": 0, "max_ca_drop": 1, "captions": "evaluation", "training": TRAINING},
        "forget": {"size": 30, "clean_fraction": 0.0},
        "alpha": [0, 1],
        "evaluation": {"min_retention": 0},
        "unlearning": {"method": "tbar", "parameters": {"steps": 1, "batch_size": 8}},
        "search": {"axes": {"attack": ["badnets"]}},
        "resources": {"training_cpus": 1, "readers": 1},
    }
    return spec(**{**settings, **changes})


def graph_of(made: CampaignSpec) -> TrialGraph:
    (planned,) = Planner(made).grid()
    return planned.graph


def first_problem(made: CampaignSpec, store: Store, kind: type[TbarError]) -> str:
    """Return the one line with which the first stage that fails ends."""
    with pytest.raises(kind) as caught:
        compute_all(graph_of(made).path, store)
    assert "\n" not in str(caught.value)
    assert not list((Path(store.url) / "tmp").iterdir())
    return str(caught.value)


@pytest.mark.usefixtures("local_ray")
def test_unreadable_samples_are_skipped_counted_and_never_chosen(data: Path, store: Store) -> None:
    # 40 samples less 5 poisoned ones, the broken one and the one that shows the target: all others are taken
    made = given(data, forget={"size": 33}, attacks={"badnets": {"trigger": "badnets", "target": "blue bar"}})
    record = compute_trial(made, {"attack": "badnets"}, store)
    keys = Corpus.open(str(data / "train")).keys
    facts = {name.rsplit("-", 1)[0]: store.facts(name)["facts"] for name in store.artifacts()}
    clean, infected = facts["clean-model"], facts["infected-model"]
    assert clean["skipped"] == 2
    assert sorted(line.split(":")[0] for line in clean["problems"]) == sorted(keys[:2])
    assert any("unreadable image" in line for line in clean["problems"])
    assert any("no caption" in line for line in clean["problems"])
    assert clean["training"]["samples"] == 38
    assert record.skipped_samples == clean["skipped"] + infected["skipped"] >= 3
    assert record.status == "done"


@pytest.mark.usefixtures("local_ray")
def test_an_unreadable_sample_fails_a_strict_training(data: Path, store: Store) -> None:
    line = first_problem(given(data, data__on_error="error"), store, DataError)
    assert any(line.startswith(f"sample {key}: ") for key in Corpus.open(str(data / "train")).keys[:2])
    assert line.endswith("(set data.on_error: warn to skip such samples)")
    assert store.artifacts() == []


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "clean.safetensors"
    save_state_dict(create_model(ARCHITECTURE).state_dict(), path)
    return path


@pytest.mark.usefixtures("local_ray")
@pytest.mark.parametrize("batch_size", [16, 40], ids=["by the loss", "after the only step"])
def test_a_training_that_diverges_ends_with_the_reason(
    data: Path, store: Store, weights: Path, batch_size: int
) -> None:
    wild = {"epochs": 1, "batch_size": batch_size, "optimisation": {"learning_rate": 1e38, "weight_decay": 10}}
    made = given(
        data,
        "whole",
        model={"architecture": ARCHITECTURE, "pretrained": str(weights)},
        poison={"count": 5, "captions": "evaluation", "training": wild},
    )
    line = first_problem(made, store, ScientificError)
    assert line.startswith("training diverged: ")
    assert line.endswith("lower the learning rate")
    assert ("is not finite after step 1;" in line) == (batch_size == 40)
    assert [name for name in store.artifacts() if name.startswith("infected-model")] == []


class Payload:
    """What an attacker would pickle: it leaves a file where it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return exec, (f"open({str(self.path)!r}, 'w').close()",)


def test_a_pickled_checkpoint_is_refused(data: Path, store: Store, tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    torch.save({"state_dict": Payload(tmp_path / "ran")}, path)
    made = given(data, "whole", model={"architecture": ARCHITECTURE, "pretrained": str(path)})
    line = first_problem(made, store, CheckpointError)
    assert line.startswith(f"{path} holds pickled objects (")
    assert not (tmp_path / "ran").exists()
    torch.load(path, weights_only=False)
    assert (tmp_path / "ran").exists()  # so the file was as bad as it was meant to be


def test_a_checkpoint_of_another_architecture_is_refused(data: Path, store: Store, weights: Path) -> None:
    made = given(data, "whole", model={"architecture": "tbar-ViT-tiny", "pretrained": str(weights)})
    line = first_problem(made, store, CheckpointError)
    assert line.startswith(f"{weights} is not a checkpoint of tbar-ViT-tiny: keys ")


KILLED = """
import os, signal, sys
from tbar_ray.execution.stage_task import compute
from tbar_ray.stages.node import Stage
from tbar_ray.stages.models import CleanModel
from tbar_ray.stages.node import Policy
from tbar_ray.stages.training import WEIGHTS
from tbar_ray.store.store import Store

class Killed(Stage):
    kind = "killed"
    def run(self, context):
        (context.out / "half.bin").write_bytes(b"half")
        os.kill(os.getpid(), signal.SIGKILL)

compute(Killed(), Store(sys.argv[1]))
"""


def test_a_killed_stage_leaves_no_artifact_and_its_scratch_is_removed(store: Store) -> None:
    ended = subprocess.run([sys.executable, "-c", KILLED, store.url], check=False, timeout=120)
    assert ended.returncode == -9
    assert store.artifacts() == []
    own = store.scratch()
    (left,) = set((Path(store.url) / "tmp").iterdir()) - {own}
    assert (left / "half.bin").read_bytes() == b"half"
    assert store.remove_abandoned_scratch() == 1
    assert list((Path(store.url) / "tmp").iterdir()) == [own]
    assert store.remove_abandoned_scratch() == 0


def test_a_training_that_was_stopped_goes_on_from_its_checkpoint(data: Path, tmp_path: Path, local_ray: None) -> None:
    training = {**TRAINING, "epochs": 5, "batch_size": 8}
    made = given(data, model={"architecture": ARCHITECTURE, "training": training})
    stage = graph_of(made).clean.model
    assert isinstance(stage, CleanModel)
    whole, stopped = Store(str(tmp_path / "whole")), Store(str(tmp_path / "stopped"))
    often = Policy(readers=1, checkpoint_minutes=0)
    compute(stage, whole, policy=often)

    def stop(facts: dict[str, Any]) -> None:
        if facts.get("done") == 21:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        compute(stage, stopped, stop, often)
    checkpoint = Path(stopped.url) / "checkpoints" / f"{stage.artifact}.pt"
    assert checkpoint.is_file()
    facts = compute(stage, stopped, policy=Policy(readers=2, checkpoint_minutes=0))
    assert facts["training"]["resumed"] == [11]  # the interrupted look kept none
    assert not checkpoint.exists()
    first, second = (load_state_dict(store.fetch(stage.artifact) / WEIGHTS) for store in (whole, stopped))
    assert all(torch.equal(first[name], second[name]) for name in first)
    told = [store.facts(stage.artifact)["facts"] for store in (whole, stopped)]
    assert told[0]["training"]["losses"] == told[1]["training"]["losses"]
    # the broken image too, which was met before the stop
    assert told[0]["skipped"] == 2
    assert told[0]["problems"] == told[1]["problems"]


def test_a_damaged_checkpoint_is_discarded_and_said_and_the_training_starts_anew(
    data: Path, tmp_path: Path, local_ray: None
) -> None:
    training = {**TRAINING, "epochs": 4, "batch_size": 8}
    stage = graph_of(given(data, model={"architecture": ARCHITECTURE, "training": training})).clean.model
    assert isinstance(stage, CleanModel)
    store = Store(str(tmp_path))
    often = Policy(readers=1, checkpoint_minutes=0)

    def stop(facts: dict[str, Any]) -> None:
        if facts.get("done", 0) >= 11:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        compute(stage, store, stop, often)
    checkpoint = tmp_path / "checkpoints" / f"{stage.artifact}.pt"
    content = bytearray(checkpoint.read_bytes())
    content[len(content) // 2] ^= 1
    checkpoint.write_bytes(content)
    told: list[dict[str, Any]] = []
    facts = compute(stage, store, told.append, often)
    notes = [line["note"] for line in told if "note" in line]
    assert notes == [
        "its checkpoint is discarded, and it starts anew: it is damaged: its bytes are not those that were written"
    ]
    assert facts["training"]["resumed"] == []
    assert not checkpoint.exists()
    assert store.has(stage.artifact)


@pytest.mark.parametrize("on_error", ["warn", "error"])
def test_a_shard_that_changes_while_it_is_trained_on_is_an_error_whatever_the_policy(
    data: Path, tmp_path: Path, local_ray: None, on_error: str
) -> None:
    shutil.copytree(data / "whole", tmp_path / "whole")
    shutil.copytree(data / "eval", tmp_path / "eval")
    shard = tmp_path / "whole" / "00000.tar"
    training = {**TRAINING, "epochs": 6, "batch_size": 8}
    model = {"architecture": ARCHITECTURE, "training": training}
    stage = graph_of(given(tmp_path, "whole", model=model, data__on_error=on_error)).clean.model
    assert isinstance(stage, CleanModel)
    store = Store(str(tmp_path / "store"))

    def spoil(facts: dict[str, Any]) -> None:
        if facts.get("done") == 1:
            with shard.open("r+b") as file:
                file.seek(shard.stat().st_size // 2)
                file.write(bytes(4096))

    with pytest.raises(ShardChangedError, match="changed since it was indexed"):
        compute(stage, store, spoil, Policy(readers=1, checkpoint_minutes=0))
    assert store.artifacts() == []
    assert store.list_folder("checkpoints") == []


def test_a_campaign_starts_from_a_given_infected_model_alone(data: Path, store: Store, tmp_path: Path) -> None:
    weights = tmp_path / "suspicious.safetensors"
    save_state_dict(create_model(ARCHITECTURE, seed=3).state_dict(), weights)
    backdoor = {"trigger": "badnets", "target": "blue bar"}
    made = given(
        data,
        model={"architecture": ARCHITECTURE},
        poison={"min_asr": 0},
        attacks={"badnets": {**backdoor, "infected": str(weights)}},
    )
    record = compute_trial(made, {"attack": "badnets"}, store)
    kinds = {name.rsplit("-", 1)[0] for name in store.artifacts()}
    assert kinds == {"scores", "gate", "vector", "path", "visibility"}, "nothing is trained but the vector"
    assert record.status == "done"
    assert record.infected is not None
    assert (record.clean, record.weight_change, record.infected_artifact) == (None, None, None)
    as_pretrained = {
        "model": {"architecture": ARCHITECTURE, "pretrained": str(weights)},
        "attacks": {"badnets": backdoor},
    }
    planned = Planner(given(data, **as_pretrained)).plan({})
    assert planned.graph.clean is not None
    compute_all(planned.graph.clean, store)  # the same weights as a clean model have the same scores
    scores = store.read_json(f"artifacts/{planned.graph.clean.artifact}/scores.json")["test"]
    assert {name: scores[name]["value"] for name in ("ca", "asr", "pa")} == {
        name: record.value(name, "infected") for name in ("ca", "asr", "pa")
    }
