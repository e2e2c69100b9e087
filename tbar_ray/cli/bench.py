"""`tbar bench`: this software and an alternative on the same work, in alternation."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from tbar_ray.cli.completion import bench_names
from tbar_ray.cli.options import local_file, local_folder
from tbar_ray.errors import SpecError

if TYPE_CHECKING:
    from tbar_ray.bench.measure import Result

LONG = ("growth", "nodes")
"""Benchmarks that `all` leaves out."""
BENCHES = ("stream", "train", "choices", "alpha", "xi", "campaign", "overhead", "merge", "memory", *LONG, "all")


def bench(
    name: Annotated[str, typer.Argument(help=f"{', '.join(BENCHES)}.", metavar="NAME", autocompletion=bench_names)],
    repeats: Annotated[int, typer.Option(help="Measured pairs of runs; medians are of these.")] = 5,
    workers: Annotated[int, typer.Option(help="Reader actors, and the peers' worker processes.")] = 2,
    samples: Annotated[int, typer.Option(help="Images of 64 px that `stream` streams.")] = 20_000,
    device: Annotated[str, typer.Option(help="cpu, cuda, or auto.")] = "auto",
    folder: Annotated[
        Path | None,
        typer.Option(
            parser=local_folder,
            metavar="FOLDER",
            help="Folder that keeps the shards for the next run; without it they are temporary.",
        ),
    ] = None,
    trials: Annotated[int, typer.Option(min=30, help="With `growth`: the largest grid.")] = 1000,
    figure: Annotated[
        Path | None,
        typer.Option(
            parser=local_file, metavar="FILE.png", help="With `growth`: draw what was measured into this PNG."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON only.")] = False,
) -> None:
    """Measure tbar and the alternative on the same work, in alternation, and print ratios.

    A ratio is how many times faster than the peer tbar was: the median over pairs
    of runs, with the least and the largest. A benchmark that misses its target is
    reported as such; the exit code is still 0.

    Example: tbar bench stream --folder /tmp/shards

    Example: tbar bench all --json > bench.json

    `growth` fits power laws to time and memory over samples, α, parameters and
    trials (half an hour, most of it for 1,000 trials). `nodes` compares a cluster
    of two nodes of one CPU each with one of one node, on this machine, which needs
    two cores that are idle. `all` leaves both out.

    Example: tbar bench growth --figure growth.png
    """
    if name not in BENCHES:
        from tbar_ray.naming import nearest

        raise SpecError(f"unknown benchmark {name!r}{nearest(name, BENCHES)}; known: {', '.join(BENCHES)}")
    if repeats < 1 or workers < 1 or samples < 1000:
        raise SpecError("--repeats and --workers must be 1 or more, --samples 1000 or more")
    from tbar_ray.execution.ray_environment import prepare
    from tbar_ray.store.temporary import temporary

    prepare("local")
    with temporary("bench") as scratch:
        sizes = _Sizes(repeats, workers, samples, trials)
        results = list(_results(name, sizes, _device(device), folder or scratch, as_json))
    if figure is not None:
        from tbar_ray.bench.growth import Growth, draw_growth

        if not (grown := [result for result in results if isinstance(result, Growth)]):
            raise SpecError("--figure: only `growth` draws one")
        draw_growth(grown, figure)
    if as_json:
        from tbar_ray.bench.measure import machine

        typer.echo(json.dumps({"machine": machine(), "results": [r.to_dict() for r in results]}, indent=1))
    else:
        _show(results)


class _Sizes(NamedTuple):
    repeats: int
    workers: int
    samples: int
    trials: int


def _results(name: str, sizes: _Sizes, device: Any, folder: Path, quiet: bool) -> Iterator[Result]:
    from tbar_ray.bench.alpha import alpha_benchmarks
    from tbar_ray.bench.campaign import campaign_benchmarks, overhead_benchmark
    from tbar_ray.bench.choices import choice_benchmarks
    from tbar_ray.bench.growth import TRIALS, growth_benchmarks
    from tbar_ray.bench.merge import merge_benchmark
    from tbar_ray.bench.nodes import nodes_benchmark
    from tbar_ray.bench.stream import memory_benchmark, stream_benchmarks
    from tbar_ray.bench.train import train_benchmarks
    from tbar_ray.bench.xi import xi_benchmarks
    from tbar_ray.cli.console import make_console

    repeats, workers, samples, trials = sizes
    grids = tuple(count for count in TRIALS if count <= trials)
    parts: dict[str, tuple[bool, Callable[[], Iterator[Result]]]] = {
        "merge": (False, lambda: iter([merge_benchmark(repeats, device)])),
        "alpha": (False, lambda: alpha_benchmarks(repeats, device)),
        "xi": (False, lambda: xi_benchmarks(repeats, device)),
        "stream": (True, lambda: stream_benchmarks(folder, repeats, workers, samples)),
        "train": (True, lambda: train_benchmarks(folder, repeats, workers, device)),
        "choices": (False, lambda: choice_benchmarks(repeats, device)),
        "campaign": (True, lambda: campaign_benchmarks(folder, repeats)),
        "overhead": (True, lambda: iter([overhead_benchmark(folder, repeats)])),
        "memory": (True, lambda: iter([memory_benchmark(folder, workers)])),
        "growth": (True, lambda: growth_benchmarks(folder, workers, device, grids)),
        "nodes": (False, lambda: iter([nodes_benchmark(folder, repeats)])),
    }
    chosen = [part for part in parts if name == part or (name == "all" and part not in LONG)]
    console = make_console(stderr=True, quiet=quiet)
    with _ray(any(parts[part][0] for part in chosen)):
        for part in chosen:
            with console.status(f"measuring: {part}"):
                for result in parts[part][1]():
                    console.print(f"done: {result.name}", style="dim")
                    yield result


def _ray(needed: bool) -> Any:
    from contextlib import nullcontext

    if not needed:
        return nullcontext()
    from tbar_ray.execution.cluster import local_ray

    return local_ray()  # its environment was prepared before Ray was imported


def _device(name: str) -> Any:
    import torch

    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name not in ("cpu", "cuda") or (name == "cuda" and not torch.cuda.is_available()):
        raise SpecError(f"--device {name}: give cpu, auto or, where there is a GPU, cuda")
    return torch.device(name)


def _show(results: list[Result]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    from tbar_ray.bench.growth import Growth
    from tbar_ray.bench.measure import Comparison, Figure, machine, spread
    from tbar_ray.cli.console import table_console

    console = table_console()
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for column in ("benchmark", "ours", "peer", "ratio (least–largest)", "asked for", ""):
        table.add_column(column, no_wrap=column == "benchmark")
    for result in results:
        mark = {True: "reached", False: "not reached", None: ""}[result.reached]
        if isinstance(result, Comparison):
            facts = result.to_dict()
            rates = [f"{facts[f'{who}_per_second']:,.4g} {result.unit}/s" for who in ("ours", "peer")]
            asked = "" if result.at_least is None else f"≥ {result.at_least:g}"
            table.add_row(result.name, *rates, spread(result.ratios), asked, mark)
        elif isinstance(result, Growth):
            powers = f"time ∝ N^{result.time_power:.2f}, memory ∝ N^{result.memory_power:.2f}"
            table.add_row(result.name, f"{result.sizes[0]:,} … {result.sizes[-1]:,}", "", powers, "", "")
        elif isinstance(result, Figure):
            asked = "" if result.limit is None else f"{'≤' if result.upper else '≥'} {result.limit:g}"
            table.add_row(result.name, f"{result.value:.3g} {result.unit}".strip(), "", "", asked, mark)
    console.print(table)
    for result in results:
        against = f", against {result.peer}" if isinstance(result, Comparison) else ""
        console.print(f"{result.name}: {result.work}{against}")
    about = machine()
    console.print(
        f"\n{about['cores']} cores of {about['processor']}, GPU: {about['gpu'] or 'none'}, Python {about['python']}, "
        f"torch {about['torch']}, load {about['load'][0]:.1f} at the end"
    )
