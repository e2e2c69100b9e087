"""`tbar model`: checkpoints in any format, the weights that come with the package, scoring models, packing new ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tbar_ray.cli.model_arithmetic import merge, negate
from tbar_ray.cli.model_convert import convert
from tbar_ray.cli.model_inspect import inspect
from tbar_ray.cli.options import local_folder, local_path
from tbar_ray.errors import SpecError
from tbar_ray.redaction import redact

if TYPE_CHECKING:
    from tbar_ray.evaluation.rates import Rate

app = typer.Typer(
    help="Inspect, convert and combine checkpoints; list shipped weights, score a model, pack weights.",
    no_args_is_help=True,
)
app.command()(inspect)
app.command()(convert)
app.command()(negate)
app.command()(merge)


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
def score(
    architecture: Annotated[str, typer.Argument(help="An architecture.")],
    pretrained: Annotated[str, typer.Argument(help="A tag, or a checkpoint: a file or a folder.")],
    evaluation: Annotated[list[str] | None, typer.Option(help="A zero-shot set; may be given several times.")] = None,
    retrieval: Annotated[list[str] | None, typer.Option(help="A retrieval set; may be given several times.")] = None,
) -> None:
    """Score a model: CA on zero-shot sets, recall on retrieval sets, in CLIP_benchmark's layout.

    Example: tbar model score tbar-GN-pico scenes --evaluation corpus/eval --retrieval corpus/retrieval
    """
    import torch

    from tbar_ray.data.evaluation_set import EvaluationSet
    from tbar_ray.data.retrieval_set import RetrievalSet
    from tbar_ray.evaluation.rates import Rate
    from tbar_ray.evaluation.retrieval import embed_images, embed_texts, recalls
    from tbar_ray.evaluation.zeroshot import predict, zero_shot_head
    from tbar_ray.models.factory import create_model, preprocessing
    from tbar_ray.models.tokenizer import build_tokenizer

    if not evaluation and not retrieval:
        raise SpecError("nothing to score on: give --evaluation or --retrieval")
    model, tokenizer = create_model(architecture, pretrained=pretrained).eval(), build_tokenizer(architecture)
    wanted = preprocessing(model)
    for url in evaluation or ():
        data = EvaluationSet.open(url)
        images = torch.from_numpy(data.images(range(len(data.labels)), wanted.size, wanted.interpolation))
        answers = predict(model, zero_shot_head(model, tokenizer, data.classnames, data.templates), images, wanted)
        hits = int((answers == torch.from_numpy(data.labels)).sum())
        typer.echo(f"{redact(url)}: CA {_shown(Rate.of(hits, len(images)))} of {len(data.classnames)} classes")
    for url in retrieval or ():
        pairs = RetrievalSet.open(url)
        images = torch.from_numpy(pairs.images(range(len(pairs)), wanted.size, wanted.interpolation))
        texts = [caption for captions in pairs.captions for caption in captions]
        owner = torch.tensor([row for row, captions in enumerate(pairs.captions) for _ in captions])
        found = recalls(embed_images(model, images, wanted), embed_texts(model, tokenizer(texts)), owner, texts)
        for direction, by_rank in zip(("image to text", "text to image"), found, strict=True):
            for rank, rate in by_rank.items():
                typer.echo(f"{redact(url)}: recall@{rank} {direction} {_shown(rate)}")


def _shown(rate: Rate) -> str:
    return f"{100 * rate.value:.1f} % [{100 * rate.low:.1f}, {100 * rate.high:.1f}], n = {rate.n}"


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
