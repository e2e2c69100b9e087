"""Two processes on gloo, each with a share of every batch, against one process with whole batches."""

from __future__ import annotations

import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as multiprocessing
from torch import Tensor, nn

from tbar_ray.evaluation.zeroshot import zero_shot_head
from tbar_ray.models.factory import preprocessing
from tbar_ray.training import workers as module
from tbar_ray.training.augmentation import Augmented
from tbar_ray.training.batch import Batch
from tbar_ray.training.gradient_cache import CachedContrastive
from tbar_ray.training.loop import train
from tbar_ray.training.objectives import Classification, Contrastive, Objective
from tbar_ray.training.optimisation import autocast
from tbar_ray.training.options import Augmentation, Optimisation
from tbar_ray.training.process_group import interface_of, joined, open_meeting
from tbar_ray.training.workers import ALONE, Workers
from tests.models.tiny import GROUP_NORM, VIT, pictures, tiny, tokenizer

NAMES = ["red circle", "blue square", "cat"]
ROWS = (9, 8, 1, 6)
"""Of the whole batches: shares of 5 and 4, of 4 and 4, a second worker without rows, and again equal ones."""
CASES = [(VIT, "contrastive"), (VIT, "cached"), (VIT, "classification"), (GROUP_NORM, "contrastive")]
STEP = Optimisation(learning_rate=1e-3, precision="fp32")


def objective_of(architecture: str, kind: str) -> Objective:
    model = tiny(architecture)
    if kind == "classification":
        return Classification(model, preprocessing(model), zero_shot_head(model, tokenizer(), NAMES, ["a {c}"]))
    if kind == "cached":
        return CachedContrastive(model, preprocessing(model), 2)
    return Contrastive(model, preprocessing(model))


def batches_of(model: nn.Module, workers: Workers) -> list[Batch]:
    """This worker's shares of the batches."""
    found = []
    for number, rows in enumerate(ROWS):
        labels = (torch.arange(rows) * (number + 1)) % 3
        tokens = tokenizer()([f"{row} {NAMES[label]}" for row, label in enumerate(labels.tolist())])
        whole = Batch(pictures(model, rows, seed=number), tokens, labels)
        mine = torch.from_numpy(workers.share(np.arange(rows)))
        counts, _ = workers.exchange(len(mine))

        def own(tensor: Tensor, mine: Tensor = mine) -> Tensor:
            return tensor[mine]

        found.append(workers.divided(whole.map(own), counts))
    return found


def gradients_and_end(architecture: str, kind: str, workers: Workers) -> dict[str, Any]:
    """Loss and gradients of the first batch, then the losses and weights of a training on all of them."""
    objective = objective_of(architecture, kind)
    model = objective.model
    objective.among(workers)
    batches = batches_of(model, workers)
    loss = objective.backward(batches[0], partial(autocast, torch.device("cpu"), "fp32"))
    loss = workers.averaged(loss, objective.named_parameters().values())
    gradients = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    model.zero_grad()
    augmented = Augmented(Augmentation(crop=(0.5, 1.0), mirror=0.5), seed=3)
    first = train(objective, batches[:1], 1, STEP, workers=workers)
    one_step = {name: value.clone() for name, value in model.state_dict().items()}
    record = train(objective, batches, len(batches), STEP, prepare=augmented, workers=workers)
    return {
        "loss": loss,
        "gradients": gradients,
        "one step": one_step,
        "end": model.state_dict(),
        "losses": [loss for _, loss in (*first.losses, *record.losses)],
        "samples": record.samples,
    }


def told(workers: Workers) -> Any:
    """What one worker's news come to at all of them."""
    return [workers.exchange(workers.rank), workers.exchange(7, "größer" if workers.rank else "")]


def meeting(rank: int, port: Path) -> dist.Store:
    """Where the workers meet; worker 0 tells the port in a file."""
    if rank == 0:
        opened = open_meeting("127.0.0.1", 2)
        port.with_suffix(".part").write_text(str(opened.port))
        port.with_suffix(".part").rename(port)
        return opened
    while not port.exists():
        time.sleep(0.1)
    return dist.TCPStore("127.0.0.1", int(port.read_text()), 2, is_master=False)


def work(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    module.BUCKET = 5000  # several messages, some of one large tensor
    workers = Workers(rank, 2)
    with joined(meeting(rank, Path(folder, "port")), workers, "gloo", "127.0.0.1"):
        found: dict[str, Any] = {f"{a} {k}": gradients_and_end(a, k, workers) for a, k in CASES}
        connections = psutil.Process().net_connections("tcp")
        listening = [one.laddr.ip for one in connections if one.status == psutil.CONN_LISTEN]
        torch.save({**found, "told": told(workers), "listening": listening}, f"{folder}/{rank}.pt")


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What two workers computed, by rank."""
    folder = tmp_path_factory.mktemp("workers")
    multiprocessing.set_forkserver_preload([__name__, "open_clip"])  # takes seconds: once for both, not by each
    multiprocessing.start_processes(work, args=(str(folder),), nprocs=2, start_method="forkserver")
    return [torch.load(folder / f"{rank}.pt", weights_only=True) for rank in range(2)]


def close(found: dict[str, Tensor], expected: dict[str, Tensor], least: float) -> None:
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=least)


@pytest.mark.parametrize(("architecture", "kind"), CASES)
def test_two_workers_take_the_steps_of_one(found: list[dict[str, Any]], architecture: str, kind: str) -> None:
    alone = gradients_and_end(architecture, kind, ALONE)
    one, other = (worker[f"{architecture} {kind}"] for worker in found)
    assert float(one["loss"]) == float(other["loss"]) == pytest.approx(float(alone["loss"]), rel=1e-5)
    close(one["gradients"], alone["gradients"], 1e-6)
    close(one["one step"], alone["one step"], 2e-5)  # of a step of Adam, which is 1e-3 long
    close(one["end"], alone["end"], 2e-4)
    assert one["losses"] == other["losses"] == pytest.approx(alone["losses"], rel=1e-3)
    assert one["samples"] == other["samples"] == alone["samples"] == sum(ROWS)
    for name, value in one["end"].items():
        assert torch.equal(other["end"][name], value), name


def test_news_of_one_reach_all(found: list[dict[str, Any]]) -> None:
    for worker in found:
        assert worker["told"] == [((0, 1), []), ((7, 7), ["größer"])]


def test_they_listen_at_the_address_where_they_meet_alone(found: list[dict[str, Any]]) -> None:
    assert found[0]["listening"]
    assert {address for worker in found for address in worker["listening"]} == {"127.0.0.1"}


def test_an_address_names_its_interface() -> None:
    assert interface_of("127.0.0.2") == interface_of("127.0.0.1") is not None
    assert interface_of("203.0.113.7") is None  # of documentation (RFC 5737): nobody has it


def test_one_worker_alone_needs_nobody() -> None:
    batch = Batch(torch.zeros(2, 3, 4, 4, dtype=torch.uint8))
    assert ALONE.exchange(2, "news") == ((2,), ["news"])
    assert ALONE.divided(batch, (2,)) is batch
    assert ALONE.filled(batch) is batch
    assert ALONE.weight(batch) == 1
    assert list(ALONE.share(np.arange(3))) == [0, 1, 2]
    assert len(ALONE.filled(replace(batch, images=batch.images[:0]))) == 1
