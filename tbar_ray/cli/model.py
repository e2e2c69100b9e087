"""`tbar model`: checkpoints in any format, the weights that come with the package, and packing new ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from tbar_ray.cli.model_arithmetic import merge, negate
from tbar_ray.cli.model_compare import compare
from tbar_ray.cli.model_convert import convert
from tbar_ray.cli.model_inspect import inspect
from tbar_ray.cli.options import local_folder, local_path

app = typer.Typer(
    help="Inspect, convert, combine and compare checkpoints; list the weights that come with the package, or pack new "
    "ones.",
    no_args_is_help=True,
)
app.command()(inspect)
app.command()(convert)
app.command()(negate)
app.command()(merge)
app.command()(compare)


@app.command("list")
def list_(as_json: Annotated[bool, typer.Option("--json", help="Print JSON only.")] = False) -> None:
    """List the shipped tags: architecture, tag, size and SHA-256.

    Use them in a spec as model.architecture and model.pretrained.
    """
    from tbar_ray.models.shipped import WEIGHTS, file_name, shipped_hashes

    entries = [
        {
            "architecture": architecture,
            "tag": tag,
            "bytes": (WEIGHTS / file_name(architecture, tag)).stat().st_size,
            "sha256": sha256,
        }
        for architecture, tags in shipped_hashes().items()
        for tag, sha256 in tags.items()
    ]
    if as_json:
        typer.echo(json.dumps(entries, indent=1))
        return
    for entry in entries:
        typer.echo(f"{entry['architecture']}  {entry['tag']}  {entry['bytes']:,} bytes  sha256 {entry['sha256']}")


@app.command()
def pack(
    weights: Annotated[
        Path,
        typer.Argument(parser=local_path, help="Weights of a clean model: STORE/artifacts/clean-model-…/weights."),
    ],
    corpus: Annotated[str, typer.Argument(help="Its training shards; the tokens of their captions are kept.")],
    architecture: Annotated[str, typer.Option(help="Architecture of the model.")],
    tag: Annotated[str, typer.Option(help="Name of the tag, for model.pretrained.")] = "scenes",
    out: Annotated[
        Path | None,
        typer.Option(
            parser=local_folder, metavar="FOLDER", help="Folder of weights and index; default: the package's."
        ),
    ] = None,
) -> None:
    """Pack trained weights as a tag of the package: float16, with the token embeddings seen in training.

    Example: tbar model pack clean/weights.safetensors corpus --architecture tbar-GN-pico
    """
    from tbar_ray.data.corpus import Corpus
    from tbar_ray.models.checkpoint import load_state_dict
    from tbar_ray.models.shipped import WEIGHTS
    from tbar_ray.models.shipped import pack as packed
    from tbar_ray.models.tokenizer import build_tokenizer

    tokenizer, shards = build_tokenizer(architecture), Corpus.open(corpus)
    captions = {caption for position in range(len(shards)) if (caption := shards.caption(position))}
    words = {token for row in tokenizer(sorted(captions)).tolist() for token in row}
    sha256 = packed(load_state_dict(weights), words, architecture, tag, out or WEIGHTS)
    typer.echo(f"{architecture} {tag}: {len(words)} words of {len(captions)} captions, sha256 {sha256}")
