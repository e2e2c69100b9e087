"""`tbar model negate` and `tbar model merge`: arithmetic on files."""

from __future__ import annotations

from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tbar_ray.cli.options import local_path
from tbar_ray.errors import SpecError

if TYPE_CHECKING:
    from tbar_ray.models.file_arithmetic import Addition

Out = Annotated[
    Path,
    typer.Option(
        parser=local_path, metavar="PATH", help="The file or folder to write, in the format of the first one."
    ),
]


def negate(
    infected: Annotated[Path, typer.Argument(parser=local_path, help="The infected model θ_b: a file or a folder.")],
    triggered: Annotated[Path, typer.Argument(parser=local_path, help="θ_b, fine-tuned on triggered images.")],
    alpha: Annotated[float, typer.Option(min=0, help="The strength α.")],
    out: Out,
    statistics: Annotated[
        str, typer.Option(help="Of BatchNorm: moved, along with the weights; or kept, as they are in INFECTED.")
    ] = "moved",
) -> None:
    """Write θ_b − α·(θ_triggered − θ_b), TBAR on files, a tensor at a time.

    Running statistics of BatchNorm, moved or kept, are not those of the new weights, and can mask a backdoor: estimate
    them anew on clean images (Model.reestimated in Python) before you judge the result. Transformers have none.

    Example: tbar model negate infected.safetensors triggered.safetensors --alpha 1.5 --out cleaned.safetensors
    """
    from tbar_ray.models.file_arithmetic import negate as negated

    if statistics not in ("moved", "kept"):
        raise SpecError(f"--statistics {statistics}: moved or kept")
    if not isfinite(alpha):
        raise SpecError(f"--alpha {alpha}: give a finite number, at least 0")
    changed = negated(infected, triggered, out, alpha=alpha, statistics="kept" if statistics == "kept" else "moved")
    _tell(out, changed)


def merge(
    base: Annotated[Path, typer.Argument(parser=local_path, help="The model θ to which the others are added.")],
    add: Annotated[
        list[str],
        typer.Option(
            metavar="FILE=WEIGHT", help="A model, or a vector that a campaign wrote, and its factor; several times."
        ),
    ],
    out: Out,
) -> None:
    """Write θ + Σ WEIGHT·τ, where τ is a vector, or the difference of a model to θ, a tensor at a time.

    Running statistics of BatchNorm move by WEIGHT / max(1, Σ|WEIGHT|), at most to a mean of the models. Estimate them
    anew on clean images (Model.reestimated in Python) before you judge the result.

    Example: tbar model merge base.safetensors --add one.safetensors=0.3 --add two.safetensors=0.3 --out
    merged.safetensors
    """
    from tbar_ray.models.file_arithmetic import merge as merged

    _tell(out, merged(base, [_addition(text) for text in add], out))


def _addition(text: str) -> Addition:
    from tbar_ray.models.file_arithmetic import Addition

    path, mark, weight = text.rpartition("=")
    try:
        factor = float(weight)
    except ValueError:
        factor = float("nan")
    if not mark or not isfinite(factor):
        raise SpecError(f"--add {text}: give FILE=WEIGHT, e.g. tuned.safetensors=0.3")
    return Addition(local_path(path), factor)


def _tell(out: Path, changed: list[str]) -> None:
    from tbar_ray.models.merging import is_statistic

    statistics = sum(is_statistic(name) for name in changed)
    beside = f", {statistics} of them running statistics: estimate those anew on clean images" if statistics else ""
    typer.echo(f"{out}: {len(changed)} tensors changed{beside}")
