"""Streaming shards: our readers against webdataset's loader, and against decoding alone."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import lru_cache, partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tbar_ray.bench.measure import Comparison, Figure, alternate, resident_memory
from tbar_ray.data.corpus import Corpus
from tbar_ray.data.images import load_pixels
from tbar_ray.streaming.options import ReaderOptions
from tbar_ray.streaming.order import Order
from tbar_ray.streaming.stream import ShardStream

ARCHITECTURE = "tbar-RN-tiny"
BATCH = 256
SHARDS = 8
CASES = ((64, 64, 3.0, 0.5), (256, 224, 1.8, 0.8))
"""(side of the JPEGs, side of the tensors, required ratio to webdataset, required ratio to decoding alone)."""


def stream_benchmarks(folder: Path, repeats: int, workers: int, samples: int) -> Iterator[Comparison]:
    """Yield the comparisons of streaming at every size.

    Args:
        folder: shards are written here.
        repeats: number of measured pairs of runs.
        workers: number of reader actors, loader workers and decoding processes.
        samples: number of 64 px samples; a quarter as many of 256 px.
    """
    for stored, wanted, against_loader, against_decoding in CASES:
        count = samples if stored == wanted else samples // 4
        corpus = written(folder / f"{stored}px", count, stored)
        title, work = (
            f"stream {stored}→{wanted} px",
            f"{count:,} captioned JPEGs in {SHARDS} shards, batches of {BATCH}",
        )
        with ShardStream(
            corpus,
            Order(np.arange(len(corpus.keys)), seed=0),
            options_for(wanted),
            batch_size=BATCH,
            epochs=1,
            readers=workers,
        ) as stream:
            ours = partial(_drain, stream, count)
            for reduced in (True, False) if stored > wanted else (True,):
                loader = partial(_drain, _loader(corpus, wanted, workers, reduced), count)
                mine, theirs = alternate(ours, loader, repeats=repeats)
                peer = f"webdataset.WebLoader, {workers} workers, kept warm, the same tokenizer, "
                peer += "the same decoding and tensors" if reduced else "simplejpeg at full size and Pillow's resize"
                name = title if reduced else f"{title}, against full decoding"
                yield Comparison(name, work, "images", count, mine, peer, theirs, against_loader)
            with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
                data = [corpus.image_bytes(position) for position in range(count)]
                parts = [data[number::workers] for number in range(workers)]
                bare = partial(_decode_all, pool, parts, wanted)
                mine, theirs = alternate(ours, bare, repeats=repeats)
            peer = f"simplejpeg alone, {workers} processes, bytes in memory, nothing else done or sent"
            yield Comparison(f"{title}, of decoding", work, "images", count, mine, peer, theirs, against_decoding)


def memory_benchmark(folder: Path, workers: int, samples: int = 500_000, early: int = 50_000) -> Figure:
    """Memory of this process and the readers after `samples`, relative to that after `early`."""
    corpus = written(folder / "64px", 20_000, 64)
    epochs = -(-samples // len(corpus.keys))
    seen, first, last = 0, 0.0, 0.0
    with ShardStream(
        corpus,
        Order(np.arange(len(corpus.keys)), seed=0),
        options_for(64),
        batch_size=BATCH,
        epochs=epochs,
        readers=workers,
    ) as stream:
        for batch in stream:
            seen += len(batch.images)
            if not first and seen >= early:
                first = resident_memory()
            if seen >= samples:
                break
        last = resident_memory()
    return Figure(
        "memory while streaming",
        f"resident memory of driver and readers after {seen:,} images over that after {early:,}",
        last / first,
        "",
        1.05,
    )


def written(folder: Path, samples: int, size: int) -> Corpus:
    """Open a corpus of procedural scenes, which is written if `folder` does not exist."""
    from tbar_ray.data.synthetic.options import WritingOptions
    from tbar_ray.data.synthetic.synth import write_corpus

    if not folder.exists():
        write_corpus(folder, WritingOptions(size=size, samples_per_shard=-(-samples // SHARDS)), samples=samples)
    return Corpus.open(str(folder))


def options_for(size: int) -> ReaderOptions:
    """Sample preparation shared by both sides."""
    return ReaderOptions(ARCHITECTURE, size, "bicubic")


def _drain(batches: Any, count: int) -> float:
    """Seconds from the request for the first batch to the arrival of the last."""
    started = time.perf_counter()
    seen = sum(len(batch.images if hasattr(batch, "images") else batch[0]) for batch in batches)
    assert seen == count, f"{seen} images of {count}"
    return time.perf_counter() - started


def _loader(corpus: Corpus, size: int, workers: int, reduced: bool) -> Any:
    """The usual alternative: a WebDataset pipeline with a loader of worker processes."""
    import webdataset

    urls = list(corpus.shard_urls)
    sample = _Prepared(size, reduced)
    dataset = (
        webdataset.WebDataset(urls, shardshuffle=False).shuffle(1000).map(sample).batched(BATCH, collation_fn=_stack)
    )
    return webdataset.WebLoader(dataset, num_workers=workers, batch_size=None, persistent_workers=True)


class _Prepared:
    """Prepares one sample with the JPEG library and the cached tokens that our readers use."""

    def __init__(self, size: int, reduced: bool) -> None:
        self._size, self._reduced = size, reduced
        self._tokens: Any = None

    def __call__(self, sample: dict[str, Any]) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
        if self._tokens is None:
            from tbar_ray.models.tokenizer import build_tokenizer

            tokenizer = build_tokenizer(ARCHITECTURE)
            self._tokens = lru_cache(100_000)(lambda caption: tokenizer([caption])[0].numpy().astype(np.int32))
        return load_pixels(sample["jpg"], self._size, reduced=self._reduced), self._tokens(sample["txt"].decode())


def _stack(samples: list[tuple[NDArray[Any], NDArray[Any]]]) -> tuple[Any, Any]:
    import torch

    images, tokens = zip(*samples, strict=True)
    return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2), torch.from_numpy(np.stack(tokens))


def _decode_all(pool: ProcessPoolExecutor, parts: list[list[bytes]], size: int) -> float:
    """Seconds of the slowest process, without the time to send the bytes."""
    return max(pool.map(_decode, parts, [size] * len(parts)))


def _decode(images: list[bytes], size: int) -> float:
    import simplejpeg

    started = time.perf_counter()
    for data in images:
        simplejpeg.decode_jpeg(data, colorspace="RGB", min_height=size, min_width=size)
    return time.perf_counter() - started
