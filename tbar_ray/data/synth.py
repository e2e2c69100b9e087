"""Writes the procedural corpus (img2dataset's layout) and its evaluation set (CLIP_benchmark's layout).

The files are a function of the arguments, to the byte: a sample's draws come from (seed, stream, index), tar
headers carry no clock, and a shard is written by one worker whichever it is. Workers import neither torch nor
webdataset (which imports torch), so that they start fast.
"""

from __future__ import annotations

import errno
import hashlib
import io
import json
import multiprocessing
import os
import re
import tarfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import numpy as np
import simplejpeg
from numpy.typing import NDArray

from tbar_ray.data.captions import ZEROSHOT_TEMPLATES, make_caption
from tbar_ray.data.scenes import CLASS_NAMES, draw_scene, render
from tbar_ray.errors import DataError
from tbar_ray.seeding import numpy_rng

ImageFormat = Literal["jpg", "png"]
Stream = Literal["corpus", "evaluation"]
Progress = Callable[[int], None]

JPEG_QUALITY: Final = 92
MIN_SIZE: Final = 16
MAX_SAMPLES_PER_SHARD: Final = 10_000  # a key has four digits for the place within its shard
MAX_SHARDS: Final = 100_000  # and five for the shard
_OWN_FILES: Final = re.compile(r"(\d+\.tar|\d{5}_stats\.json|\.\d+\.tar\.tmp)")


@dataclass(frozen=True, slots=True)
class CorpusSummary:
    """What was written: folder, samples, shards, bytes of the shards, and seconds that it took."""

    path: Path
    samples: int
    shards: int
    bytes: int
    seconds: float


@dataclass(frozen=True, slots=True)
class _Shard:
    """One shard to write; `first` is the index of its first sample, `number` its place in the folder."""

    path: Path
    stream: Stream
    number: int
    first: int
    labels: NDArray[np.int64]
    size: int
    seed: int
    image_format: ImageFormat


def _encode(pixels: NDArray[np.uint8], image_format: ImageFormat) -> bytes:
    if image_format == "jpg":
        # 4:4:4: colour is half of the label, and subsampling would smear it over small shapes.
        return bytes(simplejpeg.encode_jpeg(pixels, quality=JPEG_QUALITY, colorsubsampling="444"))
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG", compress_level=4)
    return buffer.getvalue()


def _members(shard: _Shard) -> Iterator[tuple[str, bytes]]:
    """Yield the name and content of each member of `shard`."""
    # Scene and caption draw from separate streams: another template leaves the pictures as they are.
    indices = range(shard.first, shard.first + len(shard.labels))
    labels = shard.labels.tolist()
    scenes = [
        draw_scene(numpy_rng(shard.seed, shard.stream, index), label)
        for index, label in zip(indices, labels, strict=True)
    ]
    for start in range(0, len(scenes), 64):
        for offset, pixels in enumerate(render(scenes[start : start + 64], shard.size)):
            place = start + offset
            scene, image = scenes[place], _encode(pixels, shard.image_format)
            if shard.stream == "evaluation":
                key = f"e{indices[place]:09d}"
                yield f"{key}.cls", str(labels[place]).encode()
                yield f"{key}.{shard.image_format}", image
                continue
            key = f"{shard.number:05d}{place:04d}"
            caption = make_caption(numpy_rng(shard.seed, "caption", indices[place]), scene)
            record = {
                "key": key,
                "caption": caption,
                "label": scene.class_name,
                "shape": scene.shape,
                "colour": scene.colour,
                "background": scene.background,
                "width": shard.size,
                "height": shard.size,
                "original_width": shard.size,
                "original_height": shard.size,
                "status": "success",
                "sha256": hashlib.sha256(image).hexdigest(),
                "seed": shard.seed,
            }
            yield f"{key}.{shard.image_format}", image
            yield f"{key}.json", json.dumps(record, sort_keys=True).encode()
            yield f"{key}.txt", caption.encode()


def _write_tar(path: Path, members: Iterator[tuple[str, bytes]]) -> None:
    """Write `members` to `path` with fixed headers; the name appears only once the content is whole."""
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


def _write_shard(shard: _Shard) -> tuple[int, int]:
    """Write one shard (and a corpus shard's statistics); return its samples and bytes."""
    count = len(shard.labels)
    try:
        _write_tar(shard.path, _members(shard))
        if shard.stream == "corpus":
            # Times are those of a download that took none, so that the file depends on the arguments alone.
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
            text = json.dumps(stats, indent=4, sort_keys=True)
            shard.path.with_name(f"{shard.path.stem}_stats.json").write_text(text)
        return count, shard.path.stat().st_size
    except OSError as error:
        raise _unwritable(shard.path, error) from error


def _unwritable(path: Path, error: OSError) -> DataError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DataError(f"no space left for {path}: free some, or write fewer or smaller samples")
    return DataError(f"cannot write {path}: {error.strerror or error}")


def _claim(directory: Path, overwrite: bool) -> None:
    """Make `directory` and see that it holds no shards; with `overwrite`, remove those of an earlier run."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        if overwrite:
            for file in directory.iterdir():
                if _OWN_FILES.fullmatch(file.name):
                    file.unlink()
        taken = any(directory.glob("*.tar"))
    except OSError as error:
        raise _unwritable(directory, error) from error
    if taken:
        hint = "its *.tar are not this command's: " if overwrite else "overwrite them or "
        raise DataError(f"{directory} already holds shards; {hint}choose another folder")


def _write_shards(shards: list[_Shard], workers: int | None, progress: Progress | None) -> int:
    """Write `shards` by up to `workers` processes and return their bytes."""
    workers = min(workers or os.cpu_count() or 1, len(shards))
    total = 0

    def done(result: tuple[int, int]) -> int:
        if progress is not None:
            progress(result[0])
        return result[1]

    if workers == 1:
        return sum(done(_write_shard(shard)) for shard in shards)
    # Spawned, since a forked worker would inherit the locks of whatever threads (torch, ray) the caller runs.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, mp_context=context)
    try:
        for future in as_completed([pool.submit(_write_shard, shard) for shard in shards]):
            total += done(future.result())
    except BrokenProcessPool as error:
        raise DataError(f"a worker writing {shards[0].path.parent} died; try fewer workers") from error
    finally:
        pool.shutdown(cancel_futures=True)
    return total


def _write(
    out: Path,
    stream: Stream,
    samples: int,
    size: int,
    samples_per_shard: int,
    seed: int,
    workers: int | None,
    image_format: ImageFormat,
    progress: Progress | None,
    overwrite: bool,
) -> CorpusSummary:
    """Check the arguments, deal the classes out, and write every shard into `out`."""
    for name, value, least in (
        ("the number of samples", samples, 1),
        ("size", size, MIN_SIZE),
        ("samples per shard", samples_per_shard, 1),
        ("workers", 1 if workers is None else workers, 1),
    ):
        if value < least:
            raise DataError(f"{name} must be at least {least}, not {value}")
    if samples_per_shard > MAX_SAMPLES_PER_SHARD:
        raise DataError(f"samples per shard must be at most {MAX_SAMPLES_PER_SHARD}, not {samples_per_shard}")
    if -(-samples // samples_per_shard) > MAX_SHARDS:
        raise DataError(f"{samples} samples need over {MAX_SHARDS} shards: raise samples per shard")
    if image_format not in ("jpg", "png"):
        raise DataError(f"image format must be jpg or png, not {image_format}")
    started = time.perf_counter()
    _claim(out, overwrite)
    labels = numpy_rng(seed, stream, "labels").permutation(np.arange(samples) % len(CLASS_NAMES))
    digits = 5 if stream == "corpus" else 1
    shards = [
        _Shard(
            path=out / f"{number:0{digits}d}.tar",
            stream=stream,
            number=number,
            first=first,
            labels=labels[first : first + samples_per_shard],
            size=size,
            seed=seed,
            image_format=image_format,
        )
        for number, first in enumerate(range(0, samples, samples_per_shard))
    ]
    total = _write_shards(shards, workers, progress)
    return CorpusSummary(out, samples, len(shards), total, time.perf_counter() - started)


def write_corpus(
    out: Path,
    *,
    samples: int,
    size: int = 64,
    samples_per_shard: int = 1000,
    seed: int = 0,
    workers: int | None = None,
    image_format: ImageFormat = "jpg",
    progress: Progress | None = None,
    overwrite: bool = False,
) -> CorpusSummary:
    """Write a captioned training corpus as `00000.tar`, ... with `00000_stats.json`, ... beside them.

    Classes are balanced to within one sample and shuffled. With more than one worker the caller's main module
    must be importable without side effects (`if __name__ == "__main__":`), as for any spawned process.

    Args:
        out: Folder to write to; made if missing.
        samples: Number of image-caption pairs, at least 1.
        size: Side of the square images in pixels, at least 16.
        samples_per_shard: 1 to 10000; the last shard may hold fewer.
        seed: Decides every draw; the number of workers decides none.
        workers: Processes, default one per processor; never more than there are shards.
        image_format: "jpg" (quality 92, 4:4:4) or "png".
        progress: Called with the number of samples newly written, once a shard.
        overwrite: Replace the shards of an earlier run instead of refusing.

    Raises:
        DataError: If an argument is out of range, `out` already holds shards, or it cannot be written.
    """
    return _write(
        Path(out),
        "corpus",
        samples,
        size,
        samples_per_shard,
        seed,
        workers,
        image_format,
        progress,
        overwrite,
    )


def write_evaluation_set(
    out: Path,
    *,
    per_class: int = 40,
    size: int = 64,
    samples_per_shard: int = 1000,
    seed: int = 0,
    workers: int | None = None,
    image_format: ImageFormat = "jpg",
    progress: Progress | None = None,
    overwrite: bool = False,
) -> CorpusSummary:
    """Write a zero-shot evaluation set: `classnames.txt`, templates, `test/nshards.txt`, `test/0.tar`, ...

    Its scenes come from a stream of their own, so that none repeats a training scene of the same seed, and
    its keys start with "e". Arguments and errors are those of `write_corpus`; `per_class` (at least 1) is the
    number of images of each of the 60 classes.
    """
    samples, split = per_class * len(CLASS_NAMES), Path(out) / "test"
    summary = _write(
        split,
        "evaluation",
        samples,
        size,
        samples_per_shard,
        seed,
        workers,
        image_format,
        progress,
        overwrite,
    )
    texts = {
        Path(out) / "classnames.txt": "\n".join(CLASS_NAMES),
        Path(out) / "zeroshot_classification_templates.txt": "\n".join(ZEROSHOT_TEMPLATES),
        split / "nshards.txt": str(summary.shards),
    }
    for path, text in texts.items():
        try:
            path.write_text(text + "\n")
        except OSError as error:
            raise _unwritable(path, error) from error
    return CorpusSummary(Path(out), summary.samples, summary.shards, summary.bytes, summary.seconds)
