from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np
import pytest
import ray
import torch

from tbar_ray.data.corpus import Corpus
from tbar_ray.data.synthetic.options import WritingOptions
from tbar_ray.data.synthetic.synth import write_corpus
from tbar_ray.errors import DataError, ShardChangedError, SpecError
from tbar_ray.models.tokenizer import build_tokenizer
from tbar_ray.streaming import stream as module
from tbar_ray.streaming.options import Poison, ReaderOptions
from tbar_ray.streaming.order import Order
from tbar_ray.streaming.reader import BatchReader
from tbar_ray.streaming.stream import IN_FLIGHT_PER_READER, ShardStream
from tbar_ray.training.batch import Batch
from tbar_ray.training.workers import Workers
from tbar_ray.triggers.badnets import BadNets
from tests.data.tars import sample, write_tar

pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("local_ray")]

ARCHITECTURE, SIZE = "tbar-ViT-tiny", 24
ORDER = Order(np.arange(40), seed=5)
SETTINGS: dict[str, Any] = {"batch_size": 3, "epochs": 2}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    folder = tmp_path_factory.mktemp("stream")
    write_corpus(folder, WritingOptions(size=32, samples_per_shard=16, workers=1), samples=40)
    return Corpus.open(str(folder))


@pytest.fixture(scope="module")
def options(corpus: Corpus) -> ReaderOptions:
    poison = Poison(BadNets(seed=3, patch_size=40), {corpus.keys[p]: "a banana" for p in (1, 4, 17)})
    return ReaderOptions(ARCHITECTURE, SIZE, "bicubic", (poison,))


@pytest.fixture(scope="module")
def expected(corpus: Corpus, options: ReaderOptions) -> list[Batch]:
    """The batches, read in this process without any actor."""
    reader, tokenizer = BatchReader(corpus, options.reading), build_tokenizer(ARCHITECTURE)
    read = [reader.read(p) for p, _ in module.batches_of(ORDER, SETTINGS["batch_size"], 2)]
    pixels = [batch.images for batch in read if batch.images is not None]
    return [
        Batch(
            torch.from_numpy(images).permute(0, 3, 1, 2), tokenizer(list(batch.texts)).to(torch.int32), keys=batch.keys
        )
        for images, batch in zip(pixels, read, strict=True)
    ]


def same(left: list[Batch], right: list[Batch]) -> bool:
    def bits(batch: Batch) -> tuple[bytes, bytes, tuple[str, ...]]:
        assert batch.tokens is not None
        return batch.images.numpy().tobytes(), batch.tokens.numpy().tobytes(), batch.keys

    return [bits(batch) for batch in left] == [bits(batch) for batch in right]


@pytest.mark.parametrize("readers", [1, 2])
def test_content_and_order_do_not_depend_on_the_number_of_readers(
    corpus: Corpus, options: ReaderOptions, expected: list[Batch], readers: int
) -> None:
    with ShardStream(corpus, ORDER, options, readers=readers, **SETTINGS) as stream:
        assert stream.total_steps == len(expected) == 28
        assert same(list(stream), expected)
        assert stream.skipped == []
        actors = list(stream._actors)
    assert all(ended(actor) for actor in actors)


class Second(Workers):
    """The second of two workers, to whom the first always tells as many rows as it has itself, and some news."""

    told: ClassVar[list[str]] = []

    def exchange(self, rows: int, news: str = "") -> tuple[tuple[int, ...], list[str]]:
        return (rows, rows), [*self.told, *([news] if news else [])]


def test_a_worker_is_given_its_share_of_every_batch(
    corpus: Corpus, options: ReaderOptions, expected: list[Batch]
) -> None:
    with ShardStream(corpus, ORDER, options, workers=Second(1, 2), **SETTINGS) as stream:
        assert stream.total_steps == len(expected)
        found = list(stream)
    # of three rows the first has two; the last batch of an epoch has one row, which is the first's
    assert [batch.keys for batch in found] == [batch.keys[2:] for batch in expected if len(batch) == 3]
    assert {(batch.shares, batch.first) for batch in found} == {((1, 1), 1)}
    assert found[-1].tokens is not None
    assert found[-1].tokens.shape == (1, 16)
    with ShardStream(corpus, ORDER, options, workers=Second(1, 2), **SETTINGS) as stream:
        Second.told.append(json.dumps([None, [["elsewhere", "broken"]]]))
        next(iter(stream))
        assert [sample.key for sample in stream.skipped] == ["elsewhere"]
        Second.told[:] = [json.dumps(["it has changed", []])]
        with pytest.raises(ShardChangedError, match="it has changed"):
            next(iter(stream))


def ended(actor: Any) -> bool:
    """Whether an actor that was told to end does so; a call may reach it before the news."""
    for _ in range(100):
        try:
            ray.get(actor.read.remote([0]), timeout=120)
        except ray.exceptions.RayActorError:
            return True
        time.sleep(0.1)
    return False


def test_a_stream_goes_on_where_another_one_stopped_with_other_readers(
    corpus: Corpus, options: ReaderOptions, expected: list[Batch]
) -> None:
    with ShardStream(corpus, ORDER, options, readers=2, **SETTINGS) as stream:
        received = []
        for batch in stream:
            received.append(batch)
            if len(received) == 17:  # in the second epoch
                break
    assert stream.position.epoch == 1
    with ShardStream(corpus, ORDER, options, readers=1, start=stream.position, **SETTINGS) as rest:
        assert rest.total_steps == len(expected) - 17
        received += list(rest)
    assert same(received, expected)


def test_a_killed_reader_is_restarted_and_nothing_is_lost(
    corpus: Corpus, options: ReaderOptions, expected: list[Batch], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beside that, no more than the bounded number of batches is asked for ahead of the consumer."""
    asked = 0
    real = module.batches_of

    def counted(*arguments: Any) -> Iterator[Any]:
        nonlocal asked
        for positions in real(*arguments):
            asked += 1
            yield positions

    monkeypatch.setattr(module, "batches_of", counted)
    received: list[Batch] = []
    ahead = []
    with ShardStream(corpus, ORDER, options, readers=2, **SETTINGS) as stream:
        for batch in stream:
            ahead.append(asked - len(received))  # this batch has only just been taken
            received.append(batch)
            if len(received) == 3:
                ray.kill(stream._actors[0], no_restart=False)
    assert same(received, expected)
    assert max(ahead) == 2 * IN_FLIGHT_PER_READER


@pytest.fixture(scope="module")
def damaged(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    members = [
        *sample("corrupt", "a cat", image=b"\xff\xd8\xff not a jpeg"),
        *[member for number in range(4) for member in sample(f"good{number}", "a dog")],
    ]
    return Corpus.open(str(write_tar(tmp_path_factory.mktemp("damaged") / "0.tar", members)))


def test_an_unreadable_sample_is_counted_once_or_ends_the_stream(damaged: Corpus) -> None:
    options, every = ReaderOptions(ARCHITECTURE, SIZE, "bicubic"), Order(np.arange(5), seed=5)
    with ShardStream(damaged, every, options, readers=1, policy="warn", **SETTINGS) as stream:
        batches = list(stream)
        assert [skipped.key for skipped in stream.skipped] == ["corrupt"]  # in both epochs
        assert sum(len(batch) for batch in batches) == 2 * 4
        stream._policy = "error"  # the same reader serves again
        with pytest.raises(DataError, match=r"sample corrupt: unreadable image.* \(set data.on_error: warn to skip"):
            list(stream)
        stream._policy, stream._order = "warn", Order(np.array([0]), seed=5)
        with pytest.raises(DataError, match="none of the 1 samples can be read: unreadable image"):
            list(stream)


def test_an_unknown_architecture_is_a_spec_error(corpus: Corpus) -> None:
    with pytest.raises(SpecError, match="unknown model architecture"):
        ShardStream(corpus, ORDER, ReaderOptions("tbar-none", SIZE, "bicubic"), batch_size=2, epochs=1)
