"""Growth of time and memory with samples, α, parameters and trials, as fitted power laws."""

from __future__ import annotations

import gc
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from tbar_ray.bench.alpha import TARGET, AlphaWork
from tbar_ray.bench.measure import Figure, resident_memory
from tbar_ray.bench.merge import ROUNDS, Weights, merge
from tbar_ray.bench.stream import BATCH, options_for, written
from tbar_ray.evaluation.scores import score
from tbar_ray.models.in_place import InPlaceModel
from tbar_ray.models.task_vector import TaskVector
from tbar_ray.streaming.order import Order
from tbar_ray.streaming.stream import ShardStream

if TYPE_CHECKING:
    from tbar_ray.bench.campaign import ManyTrials

SAMPLES = (5_000, 15_000, 50_000, 150_000, 500_000)
ALPHAS = (1, 3, 10, 30, 100)
PARAMETERS = (1_000_000, 10_000_000, 50_000_000, 150_000_000, 300_000_000)
TRIALS = (10, 30, 100, 300, 1_000)


@dataclass(frozen=True)
class Growth:
    """Measurements along one quantity.

    Attributes:
        name: the quantity, e.g. 'samples streamed'.
        work: description of the work per unit.
        sizes: values of the quantity.
        seconds: wall clock at each size.
        megabytes: resident memory of this process and its children at each size.
    """

    name: str
    work: str
    sizes: tuple[int, ...]
    seconds: tuple[float, ...]
    megabytes: tuple[float, ...]

    @property
    def reached(self) -> None:
        """Always None: there is no requirement."""
        return None

    @property
    def time_power(self) -> float:
        """Exponent b of seconds = a·sizeᵇ, fitted to the upper half of the sizes, where fixed costs matter least."""
        return fitted_power(self.sizes, self.seconds)

    @property
    def memory_power(self) -> float:
        """Exponent b of megabytes = a·sizeᵇ, fitted in the same way."""
        return fitted_power(self.sizes, self.megabytes)

    def to_dict(self) -> dict[str, Any]:
        """All fields and both exponents, for JSON."""
        return {**vars(self), "time_power": self.time_power, "memory_power": self.memory_power}


def fitted_power(sizes: tuple[int, ...], values: tuple[float, ...]) -> float:
    """Least-squares slope of log value over log size in the upper half of the sizes (at least two)."""
    half = max(2, -(-len(sizes) // 2))
    slope, _ = np.polyfit(np.log(sizes[-half:]), np.log(values[-half:]), 1)
    return float(slope)


def growth_benchmarks(
    folder: Path, workers: int, device: torch.device, trials: tuple[int, ...] = TRIALS
) -> Iterator[Growth | Figure]:
    """Yield one growth per quantity, and what a further trial costs; shards and stores are written under `folder`."""
    yield _samples(folder, workers)
    yield _alphas(device)
    yield _parameters(device)
    from tbar_ray.bench.campaign import quickstart_grid, run_trials

    found = [run_trials(folder / f"trials-{count}", count) for count in trials]
    model = quickstart_grid().model.architecture
    work = f"a grid of so many learning rates, one step and 18 images each on {model}, MLflow and report included"
    yield Growth("trials", work, trials, tuple(f.seconds for f in found), tuple(f.megabytes for f in found))
    yield from further_trials(trials, found)


def further_trials(counts: tuple[int, ...], found: Sequence[ManyTrials]) -> Iterator[Figure]:
    """What a further trial costs between the two largest grids, and how the last hundred compare with the first."""
    from tbar_ray.bench.campaign import CPUS

    if len(found) > 1:
        more = counts[-1] - counts[-2]
        share = (found[-1].seconds - found[-2].seconds) / more
        work = f"seconds of {counts[-1]:,} trials less those of {counts[-2]:,}, for each further one"
        yield Figure("a further trial", work, share, "s", 0.1)
        own = (found[-1].own - found[-2].own) / more
        beyond = f"{work}, less the {own:.3f} s that its own stages take, of {CPUS} that run at a time"
        yield Figure("overhead of a further trial", beyond, share - own, "s", 0.06)
    if found and (slowdown := found[-1].slowdown) is not None:
        yield Figure("trials, last hundred over first", f"of {counts[-1]:,} trials", slowdown, "", 1.2)


def _samples(folder: Path, workers: int) -> Growth:
    corpus = written(folder / "64px", 20_000, 64)
    epochs = -(-SAMPLES[-1] // len(corpus))
    order = Order(np.arange(len(corpus)), seed=0)
    seconds: list[float] = []
    memory: list[float] = []
    with ShardStream(corpus, order, options_for(64), batch_size=BATCH, epochs=epochs, readers=workers) as stream:
        stream.ready()
        started, seen = time.perf_counter(), 0
        for batch in stream:
            seen += len(batch)
            if seen >= SAMPLES[len(seconds)]:
                seconds.append(time.perf_counter() - started)
                memory.append(resident_memory() / 1e6)
                if len(seconds) == len(SAMPLES):
                    break
    work = f"JPEGs of 64 px in batches of {BATCH}, {workers} readers"
    return Growth("samples streamed", work, SAMPLES, tuple(seconds), tuple(memory))


def _alphas(device: torch.device) -> Growth:
    work = AlphaWork("tbar-RN-tiny", device)
    split, in_place = work.split(), InPlaceModel(work.model, work.vector)
    seconds: list[float] = []
    memory: list[float] = []
    for count in ALPHAS:
        started = time.perf_counter()
        for number in range(count):
            with in_place.moved(-number / count) as model:
                score(model, work.head, split, TARGET, work.preprocess)
        seconds.append(time.perf_counter() - started)
        memory.append(resident_memory() / 1e6)
    about = f"{len(split.labels)} images, clean and triggered, decoded once, tbar-RN-tiny on {device.type}"
    return Growth("α on a path", about, ALPHAS, tuple(seconds), tuple(memory))


def _parameters(device: torch.device) -> Growth:
    seconds: list[float] = []
    memory: list[float] = []
    for count in PARAMETERS:
        model = Weights(count).to(device)
        vector = TaskVector({name: torch.full_like(value, 1e-3) for name, value in model.state_dict().items()})
        run = partial(merge, InPlaceModel(model, vector), device)
        run()
        seconds.append(min(run() for _ in range(3)) / ROUNDS)
        memory.append(resident_memory() / 1e6)
        del model, vector, run
        gc.collect()
    return Growth("parameters", f"θ − α·τ in float32 on {device.type}", PARAMETERS, tuple(seconds), tuple(memory))


def draw_growth(growths: list[Growth], path: Path) -> None:
    """Draw time and memory over every quantity, both axes logarithmic, with the fitted exponents."""
    from matplotlib.figure import Figure as Canvas

    figure = Canvas(figsize=(3.6 * len(growths), 5.6), layout="constrained")
    axes = figure.subplots(2, len(growths), squeeze=False)
    for column, growth in enumerate(growths):
        rows = ((growth.seconds, growth.time_power, "seconds"), (growth.megabytes, growth.memory_power, "MB"))
        for axis, (values, power, unit) in zip(axes[:, column], rows, strict=True):
            axis.loglog(growth.sizes, values, "o-", color="tab:blue")
            sizes = np.array(growth.sizes, float)
            axis.loglog(sizes, values[-1] * (sizes / sizes[-1]) ** power, ":", color="tab:gray")
            axis.set(xlabel=growth.name, ylabel=unit, title=f"∝ N^{power:.2f}")
            axis.set_ylim(min(values) / 3, max(values) * 3)
    figure.savefig(path, dpi=110)
