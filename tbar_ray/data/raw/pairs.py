"""From raw material to training pairs in img2dataset's layout."""

from __future__ import annotations

from pathlib import Path

from tbar_ray.data.raw.columns import Columns
from tbar_ray.data.raw.identity import identity_of
from tbar_ray.data.raw.samples import RawSamples
from tbar_ray.data.raw.table import Table
from tbar_ray.data.raw.writing import ImportOptions, ImportSummary, pieces, write_pieces
from tbar_ray.data.shard_writer import Progress
from tbar_ray.errors import DataError

LOOKED_AT = 100
"""Images of which one at least must have a caption beside it, where no column has them."""


def import_pairs(
    table: Table,
    columns: Columns,
    out: Path,
    options: ImportOptions,
    *,
    images: Path | None = None,
    progress: Progress | None = None,
) -> ImportSummary:
    """Write the rows of a table as `NNNNN.tar` with `KEY.jpg` (or png, webp), `KEY.txt` and `KEY.json`.

    The images' bytes are kept as they are.

    Args:
        table: the rows.
        columns: which columns hold what.
        out: folder for the shards.
        options: how they are written.
        images: folder that paths are relative to; default that of the table.
        progress: as for `write_pieces`.

    Raises:
        DataError: as `RawSamples.of` and `write_pieces`, or if there are no captions.
    """
    samples = RawSamples.of(table, columns, images)
    if columns.caption is None and not any(samples.caption(row) for row in range(min(len(samples), LOOKED_AT))):
        raise DataError(
            f"{table.place}: no caption (NAME.txt or NAME.json) beside the first images; give --caption-column, of a "
            f"folder e.g. 'a photo of a {{label}}'"
        )
    shards = pieces(out, samples, range(len(samples)), options, name="{:05d}.tar")
    return write_pieces(out, shards, identity_of(table, columns), options, progress)
