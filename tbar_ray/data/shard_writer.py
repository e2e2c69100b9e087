"""Writes WebDataset shards in parallel; their bytes depend only on their members.

Tar headers contain no timestamps, and each shard is written by a single worker. Workers import neither torch nor
webdataset (which imports torch), so that they start fast.
"""

from __future__ import annotations

import errno
import io
import json
import re
import tarfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tbar_ray.data.layout import CLASSNAMES, TEMPLATES
from tbar_ray.data.parallel import completed
from tbar_ray.errors import DataError

Member = tuple[str, bytes]
"""Name and content of a tar member."""
Progress = Callable[[int], None]
"""Called once per shard with the number of samples just written."""

_OWN_FILES: Final = re.compile(r"(\d+\.tar|\d+_stats\.json|\.\d+\.tar\.tmp)")


@dataclass(frozen=True, slots=True)
class CorpusSummary:
    """Result of writing: folder, number of samples and shards, bytes of the shards, and elapsed seconds."""

    path: Path
    samples: int
    shards: int
    bytes: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Shard:
    """One shard to write.

    Attributes:
        path: The tar file.
        samples: Number of samples it will contain.
        members: Generates the members; called in the process that writes the shard, so it must pickle.
        statistics: Whether to write img2dataset's `NNNNN_stats.json` beside it.
    """

    path: Path
    samples: int
    members: Callable[[], Iterator[Member]]
    statistics: bool = False


def claim(folder: Path, overwrite: bool) -> None:
    """Create `folder` and check that it contains no shards; with `overwrite`, remove those of an earlier run.

    Raises:
        DataError: if it contains shards (with `overwrite`: shards that these writers did not name), or is not writable.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if overwrite:
            for file in folder.iterdir():
                if _OWN_FILES.fullmatch(file.name):
                    file.unlink()
        taken = any(folder.glob("*.tar"))
    except OSError as error:
        raise unwritable(folder, error) from error
    if taken:
        hint = "its *.tar files are not this command's: " if overwrite else "overwrite them or "
        raise DataError(f"{folder} already holds shards; {hint}choose another folder")


def write_shards(
    folder: Path, shards: Sequence[Shard], workers: int | None, progress: Progress | None
) -> CorpusSummary:
    """Write `shards` into `folder` with up to `workers` processes (None: one per processor).

    Raises:
        DataError: if a shard cannot be written, or a worker died.
    """
    started = time.perf_counter()
    samples = total = 0
    died = f"a worker writing {shards[0].path.parent} died; try fewer workers"
    for _, (count, size) in completed(_write_shard, shards, workers, died):
        samples, total = samples + count, total + size
        if progress is not None:
            progress(count)
    return CorpusSummary(folder, samples, len(shards), total, time.perf_counter() - started)


def write_texts(texts: Mapping[Path, str]) -> None:
    """Write small text files, each ending with a newline.

    Raises:
        DataError: if a file cannot be written.
    """
    for path, text in texts.items():
        try:
            path.write_text(text + "\n", encoding="utf-8")
        except OSError as error:
            raise unwritable(path, error) from error


def write_classes(out: Path, classnames: Sequence[str], templates: Sequence[str]) -> None:
    """Write `classnames.txt` and `zeroshot_classification_templates.txt`, one entry per line.

    Raises:
        DataError: if a file cannot be written.
    """
    write_texts(
        {
            out / CLASSNAMES: "\n".join(classnames),
            out / TEMPLATES: "\n".join(templates),
        }
    )


def _write_shard(shard: Shard) -> tuple[int, int]:
    try:
        write_tar(shard.path, shard.members())
        if shard.statistics:
            shard.path.with_name(f"{shard.path.stem}_stats.json").write_text(
                statistics(shard.samples, {"success": shard.samples})
            )
        return shard.samples, shard.path.stat().st_size
    except OSError as error:
        raise unwritable(shard.path, error) from error


def write_tar(path: Path, members: Iterable[Member]) -> None:
    """Write `members` to `path` with fixed headers; the file is renamed into place once it is complete.

    Raises:
        OSError: if it cannot be written.
        DataError: if a member's name is too long for a tar header.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        with tarfile.open(temporary, "w", format=tarfile.USTAR_FORMAT) as tar:
            for name, content in members:
                info = tarfile.TarInfo(name)
                info.size, info.mode, info.mtime = len(content), 0o444, 0
                try:
                    tar.addfile(info, io.BytesIO(content))
                except ValueError:
                    raise DataError(f"{name!r} is too long a name for a shard: use a shorter key") from None
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def statistics(count: int, statuses: Mapping[str, int], *, failed: int = 0, **more: object) -> str:
    """Content of img2dataset's `NNNNN_stats.json` of a shard.

    Args:
        count: samples that were to be written.
        statuses: what became of how many; "success" is among them.
        failed: samples whose image could not be had.
        more: entries that img2dataset does not have.

    Returns:
        JSON that depends only on the arguments: its times are zero.
    """
    stats = {
        "count": count,
        "successes": statuses["success"],
        "failed_to_download": failed,
        "failed_to_resize": 0,
        "duration": 0.0,
        "start_time": 0.0,
        "end_time": 0.0,
        "status_dict": dict(statuses),
    }
    return json.dumps(stats | more, indent=4, sort_keys=True)


def unwritable(path: Path, error: OSError) -> DataError:
    """The error of a file that cannot be written; it says so where the disk is full."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DataError(f"no space left for {path}: free some, or write fewer or smaller samples")
    return DataError(f"cannot write {path}: {error.strerror or error}")
