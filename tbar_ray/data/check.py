"""Checking a corpus: every shard is walked, every image decoded and every caption read."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from tbar_ray.data.cache import default_cache
from tbar_ray.data.download import local_copy
from tbar_ray.data.images import decode_image
from tbar_ray.data.locate import expand_shards
from tbar_ray.data.members import IMAGE_EXTENSIONS, parse_caption, parse_class_index, parse_metadata
from tbar_ray.data.parallel import completed
from tbar_ray.data.shards import DUPLICATE, ShardIndex, ShardProblem, index_shard
from tbar_ray.errors import DataError
from tbar_ray.redaction import redact

MAX_LISTED = 100  # problems kept per shard; counts stay exact


class ShardReport(BaseModel):
    """Counts of one shard, or of the whole corpus.

    Attributes:
        url: The shard, or "total".
        bytes: Size of the tar file(s).
        samples: Keys found, with or without an image.
        unreadable_images: Images that do not decode (0 if decoding was skipped).
        missing_images: Samples without any image.
        missing_captions: Samples with neither caption nor class index.
        empty_captions: Samples whose caption is blank.
        duplicate_keys: Samples or members dropped because their key occurred before, in any shard.
        structural_problems: Damage of the tar itself, and metadata or class indices that do not parse or are missing.
        heights: Smallest and largest image height in pixels; None if no image was decoded.
        widths: Smallest and largest image width in pixels; None if no image was decoded.
    """

    model_config = ConfigDict(frozen=True)

    url: str
    bytes: int = 0
    samples: int = 0
    unreadable_images: int = 0
    missing_images: int = 0
    missing_captions: int = 0
    empty_captions: int = 0
    duplicate_keys: int = 0
    structural_problems: int = 0
    heights: tuple[int, int] | None = None
    widths: tuple[int, int] | None = None

    @property
    def problem_count(self) -> int:
        """Number of problems of all kinds."""
        return sum(getattr(self, name) for name in PROBLEM_COUNTS)


PROBLEM_COUNTS = (
    "unreadable_images",
    "missing_images",
    "missing_captions",
    "empty_captions",
    "duplicate_keys",
    "structural_problems",
)


class CorpusReport(BaseModel):
    """Result of `check_corpus`: counts per shard and in total, and up to `MAX_LISTED` problems per shard."""

    model_config = ConfigDict(frozen=True)

    shards: tuple[ShardReport, ...]
    total: ShardReport
    problems: tuple[ShardProblem, ...]

    @property
    def ok(self) -> bool:
        """Whether there are samples and no problem at all."""
        return self.total.samples > 0 and self.total.problem_count == 0


def check_corpus(
    url: str | Sequence[str],
    *,
    decode: bool = True,
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
    cache: Path | None = None,
    classes: int | None = None,
) -> CorpusReport:
    """Check every sample of every shard in img2dataset's layout (captions) or CLIP_benchmark's layout (.cls).

    Args:
        url: As for `expand_shards`.
        decode: Decode every image; if false, only check that it exists.
        workers: Number of processes, each checking one shard at a time; default one per available processor.
        progress: Called with (shards done, shards) after each shard.
        cache: Folder for downloads of remote shards; default `default_cache()`.
        classes: Number of classes of a labelled set, whose samples all need a class index below it; None for others.

    Raises:
        DataError: No such shards, fewer than one worker, or a worker process died.
    """
    shards = expand_shards(url)
    results: list[_Result | None] = [None] * len(shards)
    tasks = [_Task(shard, cache or default_cache(), decode, classes) for shard in shards]
    died = "a checking process died (out of memory?): try --workers 1"
    for done, (position, result) in enumerate(completed(_check_shard, tasks, workers, died), start=1):
        results[position] = result
        if progress is not None:
            progress(done, len(shards))
    return _merge([result for result in results if result is not None])


class _Task(NamedTuple):
    """One shard, and how it is checked."""

    shard: str
    cache: Path
    decode: bool
    classes: int | None


_Result = tuple[ShardReport, list[ShardProblem], tuple[str, ...]]


def _check_shard(task: _Task) -> _Result:
    """Check one shard; also returns its keys, so that the caller can find duplicates across shards."""
    shard = task.shard
    try:
        path = local_copy(shard, task.cache)
        index = index_shard(path, shard)
        tally = _Tally(index, task.classes)
        with path.open("rb") as file:
            for row in range(len(index.keys)):
                tally.sample(row, file.fileno(), task.decode)
        return tally.report(path.stat().st_size), tally.problems[:MAX_LISTED], index.keys
    except (DataError, OSError) as error:
        problem = ShardProblem(shard, None, str(error))
        return ShardReport(url=redact(shard), structural_problems=1), [problem], ()


class _Tally:
    """Counts the problems of one shard."""

    def __init__(self, index: ShardIndex, classes: int | None) -> None:
        self.index, self.classes = index, classes
        self.problems = list(index.problems)
        self.counts = dict.fromkeys(PROBLEM_COUNTS, 0)
        self.sizes: list[tuple[int, int]] = []
        for problem in index.problems:
            duplicate = problem.reason.startswith(DUPLICATE)
            self.counts["duplicate_keys" if duplicate else "structural_problems"] += 1
        if not index.keys and not index.problems:
            self.add("structural_problems", None, "no samples in the shard")

    def add(self, count: str, key: str | None, reason: str) -> None:
        self.counts[count] += 1
        self.problems.append(ShardProblem(self.index.url, key, reason))

    def sample(self, row: int, descriptor: int, decode: bool) -> None:
        key, image_name = self.index.keys[row], None
        for extension in IMAGE_EXTENSIONS:
            if self._span(row, extension) is not None:
                image_name = extension
                break
        if image_name is None:
            self.add("missing_images", key, "no image")
        elif decode:
            try:
                image = decode_image(self._read(row, image_name, descriptor) or b"")
                self.sizes.append((image.shape[0], image.shape[1]))
            except DataError as error:
                self.add("unreadable_images", key, str(error))
        text, metadata = (self._read(row, extension, descriptor) for extension in ("txt", "json"))
        class_index = self._read(row, "cls", descriptor)
        parsed = parse_metadata(metadata) if metadata is not None else {}
        if parsed is None:
            self.add("structural_problems", key, "the .json is not a JSON object")
        if class_index is not None or self.classes is not None:
            self._label(key, class_index)
        elif parse_caption(text, metadata) is None:
            if text is not None or isinstance((parsed or {}).get("caption"), str):
                self.add("empty_captions", key, "blank caption")
            else:
                self.add("missing_captions", key, "no caption")

    def _label(self, key: str, raw: bytes | None) -> None:
        index = None if raw is None else parse_class_index(raw)
        if raw is None:
            self.add("structural_problems", key, "no .cls")
        elif index is None:
            self.add("structural_problems", key, f"the .cls is not a class index: {raw[:40]!r}")
        elif self.classes is not None and not 0 <= index < self.classes:
            self.add("structural_problems", key, f"class {index}, but classnames.txt has {self.classes} classes")

    def report(self, size: int) -> ShardReport:
        heights, widths = (_range([pair[axis] for pair in self.sizes]) for axis in (0, 1))
        samples = len(self.index.keys)
        return ShardReport(
            url=redact(self.index.url), bytes=size, samples=samples, heights=heights, widths=widths, **self.counts
        )

    def _span(self, row: int, extension: str) -> NDArray[np.int64] | None:
        column = self.index.spans.get(extension)
        return None if column is None or column[row, 0] < 0 else column[row]

    def _read(self, row: int, extension: str, descriptor: int) -> bytes | None:
        span = self._span(row, extension)
        return None if span is None else os.pread(descriptor, int(span[1]), int(span[0]))


def _merge(results: list[_Result]) -> CorpusReport:
    """Sum the counts of all shards and add keys that occur in several shards."""
    seen: set[str] = set()
    reports: list[ShardReport] = []
    problems: list[ShardProblem] = []
    for report, listed, keys in results:
        repeated = [key for key in keys if key in seen]
        seen.update(keys)
        reason = f"{DUPLICATE}: an earlier shard has it"
        found = listed + [ShardProblem(report.url, key, reason) for key in repeated]
        problems.extend(found[:MAX_LISTED])
        reports.append(report.model_copy(update={"duplicate_keys": report.duplicate_keys + len(repeated)}))
    sums = {name: sum(getattr(report, name) for report in reports) for name in ("bytes", "samples", *PROBLEM_COUNTS)}
    heights = _range([side for report in reports for side in report.heights or ()])
    widths = _range([side for report in reports for side in report.widths or ()])
    total = ShardReport(url="total", heights=heights, widths=widths, **sums)
    return CorpusReport(shards=tuple(reports), total=total, problems=tuple(problems))


def _range(values: list[int]) -> tuple[int, int] | None:
    return (min(values), max(values)) if values else None
