"""Writes WebDataset shards in parallel; their bytes depend only on their members.

Tar headers contain no timestamps, and each shard is written by a single worker. Workers import neither torch nor
webdataset (which imports torch), so that they start fast.
"""

from __future__ import annotations

import errno
import io
import json
import multiprocessing
import re
import tarfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tbar_ray.errors import DataError
from tbar_ray.processors import processors

Member = tuple[str, bytes]
"""Name and content of a tar member."""
Progress = Callable[[int], None]
"""Called once per shard with the number of samples just written."""

_OWN_FILES: Final = re.compile(r"(\d+\.tar|\d{5}_stats\.json|\.\d+\.tar\.tmp)")


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
        raise _unwritable(folder, error) from error
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
    for count, size in _written(shards, min(workers or processors(), len(shards))):
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
            raise _unwritable(path, error) from error


def _written(shards: Sequence[Shard], workers: int) -> Iterator[tuple[int, int]]:
    """Yield (samples, bytes) of each shard when it is complete."""
    if workers == 1:
        yield from map(_write_shard, shards)
        return
    # Spawned, since a forked worker would inherit the locks of the caller's threads (torch, ray).
    pool = ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn"))
    try:
        for future in as_completed([pool.submit(_write_shard, shard) for shard in shards]):
            yield future.result()
    except BrokenProcessPool as error:
        raise DataError(f"a worker writing {shards[0].path.parent} died; try fewer workers") from error
    finally:
        pool.shutdown(cancel_futures=True)


def _write_shard(shard: Shard) -> tuple[int, int]:
    try:
        _write_tar(shard.path, shard.members())
        if shard.statistics:
            shard.path.with_name(f"{shard.path.stem}_stats.json").write_text(_statistics(shard.samples))
        return shard.samples, shard.path.stat().st_size
    except OSError as error:
        raise _unwritable(shard.path, error) from error


def _write_tar(path: Path, members: Iterator[Member]) -> None:
    """Write `members` to `path` with fixed headers; the file is renamed into place once it is complete."""
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        with tarfile.open(temporary, "w", format=tarfile.USTAR_FORMAT) as tar:
            for name, content in members:
                info = tarfile.TarInfo(name)
                info.size, info.mode, info.mtime = len(content), 0o444, 0
                tar.addfile(info, io.BytesIO(content))
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def _statistics(count: int) -> str:
    # Times are zero, so that the file depends only on the arguments.
    stats = {
        "count": count,
        "successes": count,
        "failed_to_download": 0,
        "failed_to_resize": 0,
        "duration": 0.0,
        "start_time": 0.0,
        "end_time": 0.0,
        "status_dict": {"success": count},
    }
    return json.dumps(stats, indent=4, sort_keys=True)


def _unwritable(path: Path, error: OSError) -> DataError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DataError(f"no space left for {path}: free some, or write fewer or smaller samples")
    return DataError(f"cannot write {path}: {error.strerror or error}")
