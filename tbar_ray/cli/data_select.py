"""`tbar data select`: name a subset of a corpus by a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tbar_ray.cli.options import local_file
from tbar_ray.errors import SpecError
from tbar_ray.exit_codes import ExitCode

if TYPE_CHECKING:
    from tbar_ray.data.corpus import Corpus

NAMED = 5


def select(
    url: Annotated[str, typer.Argument(help="Shards, as for data.train in a spec.")],
    out: Annotated[Path | None, typer.Argument(parser=local_file, help="The manifest to write, a JSON file.")] = None,
    samples: Annotated[int | None, typer.Option(help="Choose this many samples.")] = None,
    seed: Annotated[int, typer.Option(help="Seed of the choice.")] = 0,
    manifest: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="Look this manifest's samples up instead; OUT is a manifest of those found."),
    ] = None,
) -> None:
    """Choose a subset by seed and key, and write its keys to a manifest; or find a manifest's samples in this copy.

    The choice does not depend on the order of the samples or on their shards. A
    campaign trains on the subset with data.subset. Exit code 1 if samples of the
    manifest are missing.

    Example: tbar data select 'cc3m/{00000..00331}.tar' cc3m-500k.json --samples 500000

    Example: tbar data select s3://bucket/cc3m --manifest cc3m-500k.json
    """
    from tbar_ray.data.corpus import Corpus
    from tbar_ray.data.subset import Subset, write_subset

    if (samples is None) == (manifest is None):
        raise SpecError("give --samples, to choose, or --manifest, to find what it names")
    if manifest is not None:
        _find(Corpus.open(url), manifest, out)
        return
    if out is None or samples is None:
        raise SpecError("give OUT, the manifest to write")
    subset = Subset.choose(Corpus.open(url), samples, seed)
    write_subset(subset, out)
    typer.echo(
        f"{len(subset.keys):,} of {subset.source.samples:,} samples (seed {seed}, {subset.digest[:16]}) -> {out} "
        f"({out.stat().st_size / 1e3:.0f} kB)"
    )


def _find(corpus: Corpus, manifest: str, out: Path | None) -> None:
    """Tell what of a manifest is here."""
    from tbar_ray.data.subset import read_subset, write_subset

    subset = read_subset(manifest)
    found = subset.find(corpus)
    if out is not None:
        write_subset(subset.within(corpus, found), out)
    if not subset.is_whole(corpus):
        typer.echo(
            f"this copy has {len(corpus):,} samples, the source {subset.source.samples:,}, and other keys; the "
            f"captions that both have agree"
        )
    typer.echo(f"{len(found.positions):,} of {len(subset.keys):,} samples are here" + (f" -> {out}" if out else ""))
    if found.missing:
        more = ", …" if len(found.missing) > NAMED else ""
        typer.echo(f"{len(found.missing):,} are missing: {', '.join(found.missing[:NAMED])}{more}")
        raise typer.Exit(ExitCode.PROBLEMS)
