"""`tbar trigger`: list and preview triggers and presets."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tbar_ray.cli.completion import trigger_names
from tbar_ray.cli.options import local_path
from tbar_ray.errors import DataError, SpecError

if TYPE_CHECKING:
    from rich.console import Console
    from torch import Tensor

    from tbar_ray.triggers.base import Trigger

app = typer.Typer(
    help="List triggers and presets of published attacks, and preview their effect on images.", no_args_is_help=True
)

ALL = "all"
SCENES = 3
SMALLEST, WIDEST = 8, 1024


@app.command("list")
def list_(as_json: Annotated[bool, typer.Option("--json", help="Print JSON only.")] = False) -> None:
    """List triggers with their parameters and defaults, and presets with their constants and sources.

    Both names go into a spec as attacks.NAME.trigger; attacks.NAME.parameters
    override a preset's constants.
    """
    if as_json:
        typer.echo(json.dumps({"triggers": _triggers(), "presets": _presets()}, indent=1, ensure_ascii=False))
        return
    from tbar_ray.cli.console import table_console

    _show_lists(table_console())


@app.command()
def preview(
    names: Annotated[
        list[str],
        typer.Argument(
            metavar="PRESET_OR_TRIGGER",
            help=f"Names of `tbar trigger list`, or `{ALL}`.",
            autocompletion=trigger_names,
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(parser=local_path, metavar="FILE.png", help="PNG file to write; its folder is created if needed."),
    ],
    size: Annotated[int, typer.Option(help=f"Side of the images in pixels, {SMALLEST} to {WIDEST}.")] = 224,
    image: Annotated[
        list[Path],
        typer.Option(
            parser=local_path,
            metavar="FILE",
            help="Your own image, of any common format; repeat it for several.",
        ),
    ] = [],  # noqa: B006
    override: Annotated[
        list[str],
        typer.Option("--set", metavar="KEY=VALUE", help="A parameter of the triggers, e.g. --set patch_size=32."),
    ] = [],  # noqa: B006
    seed: Annotated[int, typer.Option(help="Seed of patterns, places and noise, as a campaign's.")] = 0,
) -> None:
    """Draw clean and triggered images and their difference, a block for each trigger.

    Above each image stand the largest and the mean change of its values, of 255.
    Printed are the mean PSNR and SSIM between clean and changed images.
    Without --image, three procedural scenes are shown. Your own images are
    resized and cropped as CLIP does.

    `all` is every preset and every trigger that no preset uses. Where evaluation
    stamps another place than training, and where an attack changes cover samples,
    these get a block of their own. The patch of badclip is learned against a
    model: the preview shows its initial noise.

    Example: tbar trigger preview all --out sheet.png

    Example: tbar trigger preview cleanclip/badnets --set patch_size=32 --out a.png

    Example: tbar trigger preview sig wanet --image cat.jpg --size 64 --out b.png
    """
    if not SMALLEST <= size <= WIDEST:
        raise SpecError(f"--size {size}: give {SMALLEST} to {WIDEST} pixels")
    if seed < 0:
        raise SpecError(f"--seed {seed}: give 0 or more")
    if out.suffix.lower() != ".png":
        raise SpecError(f"--out {out}: the sheet is a PNG image; end its name in .png")
    from rich.progress import track

    from tbar_ray.cli.trigger_sheet import preview_sheet
    from tbar_ray.evaluation.visibility import Visibility
    from tbar_ray.triggers.preview import preview as preview_trigger

    chosen, parameters = _expand(names), _parameters(override)
    images, keys = _images(image, size)
    blocks = [
        block
        for name in track(chosen, "stamping", console=_errors(), transient=True)
        for block in preview_trigger(name, parameters, images, keys, seed)
    ]
    figure = preview_sheet(blocks)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(out, format="png", metadata={"Software": None})
    except OSError as error:
        raise DataError(f"--out {out}: {error.strerror or error}") from None
    for block in blocks:
        typer.echo(f"{block.title}: {Visibility.of(block.clean, block.changed)}")
    typer.echo(f"{len(blocks)} block{'' if len(blocks) == 1 else 's'} of {len(images)} images -> {out}")


def _errors() -> Console:
    from tbar_ray.cli.console import make_console

    return make_console(stderr=True)


def _expand(names: Sequence[str]) -> list[str]:
    """The names, each once, with `all` replaced by every preset and the triggers that none of them uses."""
    from tbar_ray.triggers.presets import PRESETS
    from tbar_ray.triggers.registry import TRIGGERS

    used = {preset.trigger for preset in PRESETS.values()}
    every = [*PRESETS, *(name for name in sorted(TRIGGERS) if name not in used)]
    listed = [one for name in names for one in (every if name == ALL else [name])]
    return list(dict.fromkeys(listed))


def _parameters(overrides: Iterable[str]) -> dict[str, Any]:
    from tbar_ray.spec.yaml_reader import read_value

    parameters = {}
    for override in overrides:
        key, separator, text = override.partition("=")
        if not separator or not key:
            raise SpecError(f"--set {override}: write KEY=VALUE, e.g. patch_size=32")
        parameters[key] = read_value(text, f"--set {override}")
    return parameters


def _images(files: Sequence[Path], size: int) -> tuple[Tensor, list[str]]:
    """Images, uint8 [B, 3, size, size], and their keys: the user's, or procedural scenes."""
    import numpy as np
    import torch

    from tbar_ray.data.images import load_image
    from tbar_ray.data.synthetic.rendering import render
    from tbar_ray.data.synthetic.scenes import CLASS_NAMES, draw_scene
    from tbar_ray.seeding import numpy_rng

    if not files:
        labels = [(7 + 23 * index) % len(CLASS_NAMES) for index in range(SCENES)]
        scenes = [draw_scene(numpy_rng(0, "preview scene", index), label) for index, label in enumerate(labels)]
        pixels = render(scenes, size).transpose(0, 3, 1, 2)
        return torch.from_numpy(np.ascontiguousarray(pixels)), [f"{index:06d}" for index in range(SCENES)]
    loaded = []
    for file in files:
        try:
            loaded.append(load_image(file.read_bytes(), size))
        except OSError as error:
            raise DataError(f"--image {file}: {error.strerror or error}") from None
        except DataError as error:
            raise DataError(f"--image {file}: {error}") from None
    return torch.from_numpy(np.stack(loaded)), [file.stem for file in files]


def _triggers() -> list[dict[str, Any]]:
    from tbar_ray.triggers.registry import TRIGGERS

    return [
        {
            "name": name,
            "summary": _summary(TRIGGERS[name]),
            "learned": TRIGGERS[name].learned,
            "parameters": {
                key: {"default": field.get_default(call_default_factory=True), "description": field.description or ""}
                for key, field in TRIGGERS[name].model_fields.items()
            },
        }
        for name in sorted(TRIGGERS)
    ]


def _summary(trigger: type[Trigger]) -> str:
    """First line of a trigger's description, in which other triggers go by their names."""
    from tbar_ray.triggers.registry import TRIGGERS

    summary = (trigger.__doc__ or "").strip().splitlines()[0]
    for other in TRIGGERS.values():
        summary = summary.replace(f"`{other.__name__}`", other.name)
    return summary


def _presets() -> list[dict[str, Any]]:
    from tbar_ray.triggers.presets import PRESETS

    return [
        {
            "name": preset.name,
            "trigger": preset.trigger,
            "parameters": dict(preset.parameters),
            "poisoning": preset.poisoning,
            "captions": preset.captions,
            "target": preset.target,
            "source": preset.source,
            "note": preset.note,
        }
        for preset in PRESETS.values()
    ]


def _show_lists(console: Console) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    from tbar_ray.triggers.preview import listed

    def table(title: str, *columns: str) -> Table:
        made = Table(*columns, title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False, show_lines=True)
        made.columns[0].no_wrap = True
        return made

    triggers = table("Triggers", "trigger", "what it does", "parameters and defaults, beside the seed")
    for entry in _triggers():
        defaults = {key: value["default"] for key, value in entry["parameters"].items() if key != "seed"}
        unset = [key for key, value in defaults.items() if value in (None, "")]
        shown = listed(defaults) + (f"; unset: {', '.join(unset)}" if unset else "")
        triggers.add_row(entry["name"], entry["summary"], shown)
    console.print(triggers)
    presets = table("Presets", "preset", "trigger and its constants", "poisoned samples", "source, and what to know")
    for entry in _presets():
        planted = [entry["poisoning"]]
        planted += [f"{entry['captions']} captions"] if entry["captions"] else []
        planted += [f"target {entry['target']}"] if entry["target"] else []
        constants = f"{entry['trigger']}: {listed(entry['parameters'])}"
        about = "\n".join(filter(None, (entry["source"], entry["note"])))
        presets.add_row(entry["name"], constants, ", ".join(planted), about)
    console.print(presets)
