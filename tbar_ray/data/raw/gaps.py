"""Shards of an import of which nothing could be written: they are taken out, and the later ones move up."""

from __future__ import annotations

from collections.abc import Sequence

from tbar_ray.data.raw.piece import Piece, Written


def close_gaps(shards: Sequence[Piece], results: Sequence[Written]) -> None:
    """Remove empty shards and number the others without a gap, as readers of both layouts expect.

    What an empty shard lost is told in the statistics of the one before it, or of the first one. The next run sees that
    these statistics are of other rows, and writes such shards again: their images may be back.

    Args:
        shards: all shards of an import.
        results: what was written of each.

    Raises:
        OSError: if a file cannot be moved.
    """
    if all(result.samples for result in results):
        return
    told: list[tuple[Piece, Written]] = []
    before: Written | None = None
    for piece, result in zip(shards, results, strict=True):
        if not result.samples:
            piece.statistics.unlink()
            piece.path.unlink()
            if told:
                told[-1] = (told[-1][0], told[-1][1].with_lost(result))
            else:
                before = result if before is None else before.with_lost(result)
            continue
        told.append((piece, result if before is None else before.with_lost(result)))
        before = None
    for target, (piece, result) in zip(shards, told, strict=False):
        if piece is not target:
            piece.path.replace(target.path)
            piece.statistics.unlink()
        target.tell(result, piece.first)
