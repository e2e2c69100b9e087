"""A grid of TBAR: shared stages against plain Ray Tune, where every trial repeats the fine-tuning."""

from __future__ import annotations

import logging
import os
import shutil
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console

from tbar_ray.bench.measure import Comparison, Figure, alternate, resident_memory
from tbar_ray.campaign.launch import Launch, launch
from tbar_ray.errors import ScientificError
from tbar_ray.planning.planner import PlannedTrial, Planner
from tbar_ray.spec.campaign import CampaignSpec
from tbar_ray.stages.node import Policy, StageContext
from tbar_ray.store.store import Store
from tbar_ray.store.temporary import temporary

CPUS = 2


def campaign_benchmarks(folder: Path, repeats: int) -> Iterator[Comparison]:
    """Yield the quickstart's grid, and the same with α found by bisection, against plain Ray Tune.

    Corpus, clean and infected models are computed beforehand and shared by all sides: the comparison covers the grid of
    attacks, forget-set sizes, clean fractions and α.

    Raises:
        ScientificError: if the bisection selects another α than the grid.
    """
    spec = quickstart_grid()
    bisected = spec.model_copy(update={"evaluation": spec.evaluation.model_copy(update={"alpha_search": "bisection"})})
    store, trials = Store(str(folder / "campaign-store")), Planner(spec).grid()
    _launch(spec, store, folder)  # the models, once
    selections: list[list[float | None]] = []

    def seconds_of(made: CampaignSpec) -> float:
        found = _afresh(made, store, folder)
        selections.append([record.alpha for record in found.records])
        return found.seconds

    ours, found, theirs = alternate(
        partial(seconds_of, spec), partial(seconds_of, bisected), partial(_plain, spec, trials, store), repeats=repeats
    )
    if any(selection != selections[0] for selection in selections):
        raise ScientificError(f"bisection selects other α than the grid: {selections}")
    cells, alphas = len(trials), len(spec.alpha)
    work = f"{cells} cells × {alphas} α, {spec.unlearning.parameters['steps']} steps each, on {CPUS} CPUs"
    peer = "plain Ray Tune: a trial per cell and α, each fine-tunes, decodes and scores the validation images"
    for name, seconds in (("campaign grid", ours), ("campaign, α by bisection", found)):
        yield Comparison(name, work, "trials", cells * alphas, seconds, peer, theirs, 5.0)


def overhead_benchmark(folder: Path, repeats: int) -> Figure:
    """Share of the cores' time that a campaign spends inside stages.

    Measured on the quickstart's grid with precomputed models. The wall clock includes MLflow and the report, but not
    the start of Ray.
    """
    spec, store = quickstart_grid(), Store(str(folder / "campaign-store"))
    _launch(spec, store, folder)
    shares: list[float] = []
    for _ in range(repeats):
        found = _afresh(spec, store, folder)
        shares.append(sum(record.seconds or 0 for record in found.records) / (CPUS * found.seconds))
    about = f"seconds inside stages over {CPUS} cores × wall clock, {len(Planner(spec).grid())} cells"
    return Figure("campaign, busy cores", about, median(shares), "", 0.85, upper=False)


def seconds_of_trials(folder: Path, count: int) -> tuple[float, float]:
    """Seconds, and memory in MB afterwards, of a grid of `count` trials with minimal work each."""
    folder.mkdir(parents=True, exist_ok=True)
    store = Store(str(folder / "store"))
    raw = quickstart_grid().model_dump()
    raw["data"]["synthetic"] |= {"samples": 300, "per_class": 2}
    raw["poison"] |= {"pairs": 100, "min_asr": 0.0, "max_ca_drop": 1.0}
    raw["evaluation"] |= {"max_images": 18}
    raw["unlearning"]["parameters"] |= {"steps": 1, "batch_size": 8}
    raw["alpha"] = [1.0]

    def grid(rates: int) -> CampaignSpec:
        values = [1e-6 * (1 + number) for number in range(rates)]
        axes = {"attack": ["badnets"], "forget_size": [8], "learning_rate": values}
        return CampaignSpec.model_validate({**raw, "search": {"axes": axes, "concurrency": CPUS}})

    _launch(grid(1), store, folder)  # the models, once
    started = time.perf_counter()
    found = _launch(grid(1 + count), store, folder)
    seconds = time.perf_counter() - started
    assert len(found.records) == 1 + count, f"{len(found.records)} records of {1 + count}"
    assert not found.failed, [record.reason for record in found.records][:3]
    return seconds, resident_memory() / 1e6


def quickstart_grid() -> CampaignSpec:
    """The spec of jobs/quickstart.yaml, which is not part of an installed package."""
    training = {"epochs": 2, "batch_size": 64}
    return CampaignSpec.model_validate(
        {
            "name": "bench-campaign",
            "data": {"synthetic": {"samples": 24000, "size": 64, "per_class": 40}},
            "model": {
                "architecture": "tbar-RN-pico",
                "training": {
                    "epochs": 3,
                    "batch_size": 48,
                    "optimisation": {"learning_rate": 1.5e-3, "warmup_steps": 100},
                },
            },
            "attacks": {
                "badnets": {"trigger": "badnets", "target": "red circle", "parameters": {"patch_size": 20}},
                "blended": {
                    "trigger": "blended",
                    "target": "red circle",
                    "parameters": {"ratio": 0.2},
                    "poison": {
                        "rate": 0.075,
                        "training": training | {"optimisation": {"learning_rate": 1e-3, "warmup_steps": 40}},
                    },
                },
            },
            "poison": {
                "rate": 0.1,
                "pairs": 10000,
                "captions": "evaluation",
                "min_asr": 0.8,
                "max_ca_drop": 0.02,
                "training": training | {"optimisation": {"learning_rate": 1.5e-3, "warmup_steps": 40}},
            },
            "forget": {"size": 300, "clean_fraction": 0.0},
            "unlearning": {
                "method": "tbar",
                "parameters": {
                    "objective": "classification", "steps": 20, "learning_rate": 2e-5, "batch_size": 128,
                },
            },
            "alpha": [0, 2, 4, 6, 8, 10, 12, 16, 20, 24],
            "evaluation": {"validation_fraction": 0.3333, "min_retention": 0.1, "max_asr": 0.03},
            "search": {
                "sampler": "grid",
                "concurrency": 2,
                "axes": {"attack": ["badnets", "blended"], "forget_size": [100, 300], "clean_fraction": [0.0, 0.2]},
            },
            "resources": {"training_cpus": 1, "readers": 1},
        }
    )  # fmt: skip


def _launch(spec: CampaignSpec, store: Store, folder: Path) -> Launch:
    uri = f"sqlite:///{folder / 'mlflow.db'}"
    found = launch(spec, store, uri, folder / "report", None, Console(quiet=True))
    assert found.tracking_failure is None, found.tracking_failure  # the measurement includes MLflow
    return found


def _afresh(spec: CampaignSpec, store: Store, folder: Path) -> Launch:
    """Launch with only the models in the store, including MLflow and report."""
    root = Path(store.url)
    for pattern in ("artifacts/vector-*", "artifacts/path-*", "campaigns/*"):
        for old in root.glob(pattern):
            shutil.rmtree(old)
    found = _launch(spec, store, folder)
    assert not found.failed, [record.reason for record in found.records]
    return found


def _plain(spec: CampaignSpec, trials: list[PlannedTrial], store: Store) -> float:
    """Seconds of plain Ray Tune for one trial per cell and α."""
    from ray import tune

    os.environ["RAY_AIR_NEW_OUTPUT"] = "0"
    os.environ["TUNE_DISABLE_AUTO_CALLBACK_LOGGERS"] = "1"
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)
    trainable = tune.with_resources(tune.with_parameters(_plain_trial, trials=trials, store=store), {"CPU": 1})
    started = time.perf_counter()
    with temporary("bench") as scratch:
        tuner = tune.Tuner(
            trainable,
            param_space={
                "cell": tune.grid_search(list(range(len(trials)))),
                "alpha": tune.grid_search(list(spec.alpha)),
            },
            tune_config=tune.TuneConfig(max_concurrent_trials=CPUS, reuse_actors=True),
            run_config=tune.RunConfig(storage_path=str(scratch), verbose=0),
        )
        results = tuner.fit()
    assert not results.num_errors, "a plain trial failed"
    return time.perf_counter() - started


def _plain_trial(config: dict[str, Any], trials: list[PlannedTrial], store: Store) -> None:
    """Fine-tune on the forget set, subtract, then decode, stamp and score the validation images."""
    from ray import tune

    from tbar_ray.evaluation.scores import score
    from tbar_ray.evaluation.splits import load_split
    from tbar_ray.stages.runtime import device_for
    from tbar_ray.unlearning.edit import Edit, EditedModel

    path = trials[config["cell"]].graph.path
    scorer = path.infected
    with temporary("trial") as out:
        path.unlearn.run(StageContext(store, out, lambda _: None))
        data = scorer.open_data(store)
        model = scorer.model.load(store, device_for(Policy()))
        head, preprocess = scorer.head_of(model, data)
        split = load_split(data, scorer.splits.positions(data, "validation"), scorer.backdoor.build(store), preprocess)
        with EditedModel(model, Edit.load(out), head).at(-config["alpha"]) as (moved, own):
            assert own is not None
            scores = score(moved, own, split, data.class_index(scorer.backdoor.target), preprocess)
    tune.report({"ca": scores.ca.value, "asr": scores.asr.value})
