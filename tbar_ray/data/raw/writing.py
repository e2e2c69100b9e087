"""Writing the shards of an import: an interrupted one goes on with those that are missing."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from tbar_ray.data.benchmark_layout import Policy
from tbar_ray.data.parallel import completed
from tbar_ray.data.raw.gaps import close_gaps
from tbar_ray.data.raw.piece import EXCLUDED, Loss, Piece, Written, write_piece
from tbar_ray.data.raw.samples import RawSamples
from tbar_ray.data.shard_writer import Progress, claim, unwritable
from tbar_ray.errors import DataError

JOURNAL = "import.json"
"""What an import was made of, beside its shards: another import is not mixed with it."""
LAYOUT = 1
"""Raised when the same options give other shards."""


@dataclass(frozen=True)
class ImportOptions:
    """How shards are written.

    Attributes:
        samples_per_shard: rows that go into a shard; some may be lost.
        workers: processes; None for one per processor. Shards are the same for any number.
        policy: what an unreadable sample does: it is an error, or left out and named.
        excluded: SHA-256 of the images of another set, which are left out.
        overwrite: replace the shards of another import instead of refusing.
    """

    samples_per_shard: int = 10_000
    workers: int | None = None
    policy: Policy = "warn"
    excluded: frozenset[bytes] = frozenset()
    overwrite: bool = False

    def __post_init__(self) -> None:
        if self.samples_per_shard < 1:
            raise DataError(f"samples per shard must be at least 1, not {self.samples_per_shard}")


@dataclass(frozen=True)
class ImportSummary:
    """What an import wrote.

    Attributes:
        path: the folder.
        samples: samples in all shards.
        shards: number of shards; those of which nothing could be written are none.
        kept: shards of an earlier run, which were not written again.
        bytes: size of the shards.
        lost: samples that could not be read, in the order of rows.
        excluded: samples that were left out since the other set has them.
        seconds: of this run.
    """

    path: Path
    samples: int
    shards: int
    kept: int
    bytes: int
    lost: tuple[Loss, ...]
    excluded: int
    seconds: float

    @classmethod
    def of(cls, folder: Path, results: Sequence[Written], kept: int, seconds: float) -> ImportSummary:
        """Add up what all shards of an import hold and lost."""
        gone = [loss for result in results for loss in result.lost]
        lost = tuple(loss for loss in gone if loss.status != EXCLUDED)
        written = [result for result in results if result.samples]
        samples = sum(result.samples for result in written)
        size = sum(result.bytes for result in written)
        return cls(folder, samples, len(written), kept, size, lost, len(gone) - len(lost), seconds)


def pieces(
    folder: Path,
    samples: RawSamples,
    positions: Sequence[int],
    options: ImportOptions,
    *,
    name: str,
    labels: Sequence[int] | None = None,
) -> list[Piece]:
    """Cut samples into shards.

    Args:
        folder: of the shards.
        samples: the rows.
        positions: those that are written, in this order.
        options: how.
        name: format of a shard's name, given its number.
        labels: class numbers of these positions, or None for pairs.
    """
    size = options.samples_per_shard
    return [
        Piece(
            folder / name.format(number),
            samples.part(positions[start : start + size]),
            None if labels is None else tuple(labels[start : start + size]),
            options.policy,
            options.excluded,
        )
        for number, start in enumerate(range(0, len(positions), size))
    ]


def write_pieces(
    folder: Path,
    shards: Sequence[Piece],
    identity: Mapping[str, Any],
    options: ImportOptions,
    progress: Progress | None = None,
) -> ImportSummary:
    """Write the shards that are missing.

    Args:
        folder: where they go.
        shards: all shards of the import.
        identity: JSON of all that determines them.
        options: how.
        progress: called with the number of rows of every finished shard.

    Raises:
        DataError: if the folder holds other shards or another import, another process writes to it, no sample is
            left, or as `write_piece`.
    """
    started = time.perf_counter()
    excluded = b"".join(sorted(options.excluded))
    how = {"samples_per_shard": options.samples_per_shard, "excluded": hashlib.sha256(excluded).hexdigest()}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / ".import.lock", timeout=0):
            _claim(folder, {"layout": LAYOUT, **identity, **how}, overwrite=options.overwrite)
            kept, results = _write(shards, options.workers, progress)
            close_gaps(shards, results)
    except Timeout:
        raise DataError(f"{folder}: another import is writing to it") from None
    except OSError as error:
        raise unwritable(folder, error) from error
    summary = ImportSummary.of(folder, results, kept, time.perf_counter() - started)
    if not summary.samples:
        first = f"; first: {summary.lost[0]} (paths start at {shards[0].samples.folder})" if summary.lost else ""
        raise DataError(f"none of {summary.excluded + len(summary.lost)} samples can be written{first}")
    return summary


def _write(shards: Sequence[Piece], workers: int | None, progress: Progress | None) -> tuple[int, list[Written]]:
    """Number of shards that were there, and all of them."""
    results = [piece.written() for piece in shards]
    missing = [number for number, result in enumerate(results) if result is None]
    kept = len(shards) - len(missing)
    for result in results:
        if result is not None and progress is not None:
            progress(result.count)
    died = "a process that writes shards died (out of memory?): try --workers 1"
    for position, written in completed(write_piece, [shards[number] for number in missing], workers, died):
        results[missing[position]] = written
        if progress is not None:
            progress(written.count)
    return kept, [result for result in results if result is not None]


def _claim(folder: Path, identity: Mapping[str, Any], *, overwrite: bool) -> None:
    """Take a folder for an import: an empty one, or one of the same import."""
    journal = folder / JOURNAL
    earlier: Mapping[str, Any] | None = None
    with suppress(OSError, ValueError):
        earlier = json.loads(journal.read_bytes())
    wanted = json.loads(json.dumps(identity))
    if earlier == wanted and not overwrite:
        return
    if earlier is not None and not overwrite:
        changed = next(name for name in [*wanted, *earlier] if wanted.get(name) != earlier.get(name))
        raise DataError(
            f"{folder} holds another import ({changed}: {earlier.get(changed)}, now {wanted.get(changed)}); "
            f"choose another folder, or --overwrite it"
        )
    claim(folder, overwrite)
    try:
        part = journal.with_name(f".{JOURNAL}.tmp")
        part.write_text(json.dumps(wanted, indent=1))
        part.replace(journal)
    except OSError as error:
        raise unwritable(journal, error) from error
