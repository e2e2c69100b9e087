"""`tbar evaluate`: the scores of any model on any labelled images."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tbar_ray.cli.options import AsJson
from tbar_ray.cli.suspect_options import (
    DATA,
    Architecture,
    Checkpoint,
    ClassesFile,
    Retrieval,
    Target,
    TemplatesFile,
    TextFrom,
    TriggerName,
    TriggerParameters,
    lines_of_file,
    parameters_of,
)
from tbar_ray.colours import warned
from tbar_ray.errors import SpecError
from tbar_ray.redaction import redact

if TYPE_CHECKING:
    from rich.console import Console

    from tbar_ray.api.images import Images
    from tbar_ray.api.model import Model
    from tbar_ray.evaluation.rates import Rate
    from tbar_ray.onemodel.measure import Measurement
    from tbar_ray.onemodel.pace import Expected

WORST = 5
"""Classes with the least accuracy that are listed."""


def evaluate(
    checkpoint: Checkpoint,
    data: Annotated[
        list[str],
        typer.Option(
            metavar="URL",
            help="labelled images: a CLIP_benchmark set, or a folder with a subfolder a class; may be repeated",
            rich_help_panel=DATA,
        ),
    ] = [],  # noqa: B006
    architecture: Architecture = None,
    text_from: TextFrom = None,
    trigger: TriggerName = None,
    trigger_parameter: TriggerParameters = [],  # noqa: B006
    target: Target = None,
    retrieval: Retrieval = [],  # noqa: B006
    classes: ClassesFile = None,
    templates: TemplatesFile = None,
    max_images: Annotated[
        int, typer.Option(min=0, help="labelled images at most, evenly spaced; 0: all", rich_help_panel=DATA)
    ] = 0,
    seed: Annotated[int, typer.Option(min=0, help="of the trigger's pattern and draws")] = 0,
    as_json: AsJson = False,
) -> None:
    """Measure a model: CA, with a trigger ASR and PA, and retrieval, each with its 95 % interval.

    "Baseline" is the share of the same images that are answered with the target
    without the trigger: what ASR is to be compared with. The classes with the
    least accuracy are listed; --json has all.

    Example: tbar evaluate scenes --architecture tbar-GN-pico --data corpus/eval --retrieval corpus/retrieval

    Example: tbar evaluate cleaned.pt --architecture RN50-quickgelu --data imagenet
    --trigger cleanclip/badnets --target banana
    """
    if not data and not retrieval:
        raise SpecError("nothing to evaluate on: give --data or --retrieval")
    from tbar_ray.cli.console import make_console
    from tbar_ray.onemodel.measure import measure, measure_retrieval
    from tbar_ray.onemodel.opening import open_checkpoint
    from tbar_ray.onemodel.suspect import suspect

    parameters = parameters_of(trigger_parameter, "--trigger-parameter")
    backdoor = None if trigger is None else suspect(trigger, target, parameters, seed=seed).backdoor
    if backdoor is None and (target is not None or parameters):
        raise SpecError("--target and --trigger-parameter need a --trigger")
    names, prompts = lines_of_file(classes, "--classes"), lines_of_file(templates, "--templates")
    sets = {url: _opened(url, names, prompts, max_images) for url in data}
    opened = open_checkpoint(checkpoint, architecture, text_from=text_from)
    if sets:
        told = _expected(opened.model, list(sets.values()), stamped=backdoor is not None)
        make_console(stderr=True).print(f"This will take {told}.", soft_wrap=True)
    found: dict[str, dict[str, Any]] = {"data": {}, "retrieval": {}}
    console = make_console()
    for url, images in sets.items():
        scores = measure(opened.model, images, backdoor)
        found["data"][redact(url)] = scores.to_dict()
        if not as_json:
            _show(console, redact(url), scores, len(images.classes))
    for url in retrieval:
        rates = measure_retrieval(opened.model, url, backdoor)
        found["retrieval"][redact(url)] = {name: rate.to_dict() for name, rate in rates.items()}
        if not as_json:
            _table(console, redact(url), {name.replace("_", " "): rate for name, rate in rates.items()})
    if as_json:
        facts = None if opened.facts is None else opened.facts.sha256
        model = {"checkpoint": opened.source, "architecture": opened.model.architecture, "sha256": facts}
        typer.echo(json.dumps({"model": model, **found}, indent=1, ensure_ascii=False))


def _opened(url: str, names: list[str] | None, prompts: list[str] | None, most: int) -> Images:
    """Labelled images, with other classes or prompts, and some of them where there are many."""
    from dataclasses import replace

    from tbar_ray.api.classes import Classes
    from tbar_ray.api.images import evaluation_set
    from tbar_ray.data.selection import evenly_spaced

    images = evaluation_set(url)
    if names is not None or prompts is not None:
        images = evaluation_set(url, classes=Classes(names or images.classes.names, prompts))
    kept = evenly_spaced(len(images), most) if most else slice(None)
    return replace(images, positions=images.positions[kept])


def _expected(model: Model, sets: list[Images], *, stamped: bool) -> Expected:
    """Seconds that some labelled sets will take."""
    from tbar_ray.onemodel.pace import Expected, measure_pace

    pace = measure_pace(model, sets[0].classes)
    prompts = sum(len(images.classes) * len(images.classes.templates) for images in sets)
    return Expected(
        {
            "class embeddings": prompts * pace.text,
            "scores": sum(map(len, sets)) * (1 + stamped) * pace.image,
        }
    )


def _show(console: Console, url: str, scores: Measurement, classes: int) -> None:
    heads = {"ca": "CA", "ca_top5": "CA, best five", "asr": "ASR", "pa": "PA", "baseline": "baseline of ASR"}
    rates = scores.rates()
    _table(console, f"{url}, {classes} classes", {head: rates[name] for name, head in heads.items() if name in rates})
    worst = sorted(scores.by_class.items(), key=lambda entry: entry[1].value)[:WORST]
    told = ", ".join(f"{name} {100 * rate.value:.1f} % of {rate.n}" for name, rate in worst if rate.value < 1)
    if told:
        console.print(f"least CA: {told}", soft_wrap=True)
    for line in scores.lost:
        console.print(warned(f"could not be read, and left out: {line}"), soft_wrap=True)


def _table(console: Console, title: str, rates: dict[str, Rate]) -> None:
    from rich.table import Table

    from tbar_ray.onemodel.verdict import rate_text

    console.print(title, style="bold", soft_wrap=True)
    table = Table(box=None, pad_edge=False, show_header=False)
    for name, rate in rates.items():
        table.add_row(name, rate_text(rate), f"n = {rate.n:,}")
    console.print(table)
