"""A grid of TBAR: shared stages against plain Ray Tune, where every trial repeats the fine-tuning."""

from __future__ import annotations

import logging
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console

from tbar_ray.bench.measure import Comparison, Figure, alternate, resident_memory
from tbar_ray.campaign.launch import Launch, launch
from tbar_ray.errors import ScientificError
from tbar_ray.planning.planner import PlannedTrial, Planner
from tbar_ray.records.ledger import Ledger
from tbar_ray.spec.campaign import CampaignSpec
from tbar_ray.spec.load import load_spec
from tbar_ray.spec.shipped import shipped_specs
from tbar_ray.stages.node import Policy, StageContext
from tbar_ray.store.store import Store
from tbar_ray.store.temporary import temporary

CPUS = 2
HUNDRED = 100
"""Trials whose time is compared with that of as many later ones."""


def campaign_benchmarks(folder: Path, repeats: int) -> Iterator[Comparison]:
    """Yield the quickstart's grid of TBAR, and the same with α found by bisection, against plain Ray Tune.

    Corpus and infected models are computed beforehand and shared by all sides: the comparison covers the grid of
    attacks, forget-set sizes, clean fractions and α.

    Raises:
        ScientificError: if the bisection selects another α than the grid.
    """
    spec = quickstart_grid()
    bisected = spec.model_copy(update={"evaluation": spec.evaluation.model_copy(update={"alpha_search": "bisection"})})
    store, trials = Store(str(folder / "campaign-store")), Planner(spec).grid()
    launch_bench(spec, store, folder)  # the models, once
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

    Measured on the quickstart's grid of TBAR with precomputed models. The wall clock includes MLflow and the report,
    but not the start of Ray.
    """
    spec, store = quickstart_grid(), Store(str(folder / "campaign-store"))
    launch_bench(spec, store, folder)
    shares: list[float] = []
    for _ in range(repeats):
        found = _afresh(spec, store, folder)
        shares.append(sum(record.seconds or 0 for record in found.records) / (CPUS * found.seconds))
    about = f"seconds inside stages over {CPUS} cores × wall clock, {len(Planner(spec).grid())} cells"
    return Figure("campaign, busy cores", about, median(shares), "", 0.85, upper=False)


@dataclass(frozen=True)
class ManyTrials:
    """A campaign of many trials of hardly any work.

    Attributes:
        seconds: wall clock of the launch, its start and report included.
        own: seconds of the trials' own stages, as their commits tell them, over `CPUS`, of which each runs one.
        megabytes: resident memory of this process and its children afterwards.
        ends: when the trials ended, in seconds after the first, ascending.
    """

    seconds: float
    own: float
    megabytes: float
    ends: tuple[float, ...]

    @property
    def slowdown(self) -> float | None:
        """Time of the last hundred trials over that of the first; None of fewer than two hundred and one."""
        if len(self.ends) <= 2 * HUNDRED:
            return None
        return (self.ends[-1] - self.ends[-1 - HUNDRED]) / (self.ends[HUNDRED] - self.ends[0])


def run_trials(folder: Path, count: int) -> ManyTrials:
    """Run a grid of `count` trials with minimal work each, on models that exist already."""
    folder.mkdir(parents=True, exist_ok=True)
    store = Store(str(folder / "store"))
    # the models, once
    before = {record.fingerprint for record in launch_bench(many_trials(1), store, folder).records}
    spec = many_trials(1 + count)
    started = time.perf_counter()
    found = launch_bench(spec, store, folder)
    seconds = time.perf_counter() - started
    assert len(found.records) == 1 + count, f"{len(found.records)} records of {1 + count}"
    assert not found.failed, [record.reason for record in found.records][:3]
    records = Path(store.url) / Ledger(store, spec).folder / "trials"
    ended = sorted(file.stat().st_mtime for file in records.iterdir())
    # the trial that was in the store is recorded again before Ray starts
    own = sum(record.seconds or 0 for record in found.records if record.fingerprint not in before) / CPUS
    return ManyTrials(seconds, own, resident_memory() / 1e6, tuple(end - ended[1] for end in ended[1:]))


def many_trials(
    count: int, steps: int = 1, images: int = 18, alphas: Sequence[float] = (1.0,), concurrency: int = CPUS
) -> CampaignSpec:
    """A grid of so many trials on one infected model, which is made in seconds.

    Args:
        count: of the trials, which differ in their learning rates.
        steps: of fine-tuning, of each.
        images: that each α is scored on.
        alphas: the path of each.
        concurrency: how many are in flight.
    """
    raw = quickstart_grid().model_dump()
    raw["data"]["synthetic"] |= {"samples": 300, "per_class": -(-images // 18) + 1}
    raw["poison"] |= {"pairs": 100, "min_asr": 0.0, "max_ca_drop": 1.0}
    raw["evaluation"] |= {"max_images": images}
    raw["unlearning"]["parameters"] |= {"steps": steps, "batch_size": 8}
    axes = {
        "attack": ["badnets"],
        "forget_size": [8],
        "learning_rate": [1e-6 * (1 + number) for number in range(count)],
    }
    search = {"axes": axes, "concurrency": concurrency}
    return CampaignSpec.model_validate({**raw, "alpha": list(alphas), "search": search})


def quickstart_grid() -> CampaignSpec:
    """TBAR's part of the shipped quickstart: its attacks, forget-set sizes, clean fractions and α."""
    spec = load_spec(shipped_specs()["quickstart"])
    tbar = spec.methods["tbar"]
    assert tbar.alpha is not None
    axes = {name: axis for name, axis in spec.search.axes.items() if name != "method"}
    return CampaignSpec.model_validate(
        {
            **spec.model_dump(exclude={"methods", "description"}),
            "name": "bench-campaign",
            "unlearning": {"method": "tbar", "parameters": tbar.parameters},
            "alpha": tbar.alpha,
            "search": {**spec.search.model_dump(), "axes": axes},
        }
    )


def launch_bench(spec: CampaignSpec, store: Store, folder: Path) -> Launch:
    """Launch a campaign, MLflow included, on the Ray that is there; nothing is shown."""
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
    found = launch_bench(spec, store, folder)
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
