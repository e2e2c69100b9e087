import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tbar_ray.streaming.order import Order, Position, batches_of, steps, steps_per_epoch


@given(st.sets(st.integers(0, 10_000), min_size=1, max_size=60), st.integers(1, 70), st.integers(1, 3))
def test_each_sample_comes_exactly_once_per_epoch(chosen: set[int], batch_size: int, epochs: int) -> None:
    positions = np.array(sorted(chosen), dtype=np.int64)
    batches = [batch for batch, _ in batches_of(Order(positions, 5), batch_size, epochs)]
    each = steps_per_epoch(len(positions), batch_size)
    assert len(batches) == each * epochs == steps(Order(positions, 5), batch_size, epochs)
    for epoch in range(epochs):
        mine = batches[epoch * each : (epoch + 1) * each]
        assert sorted(np.concatenate(mine).tolist()) == sorted(chosen)
        assert all(len(batch) == batch_size for batch in mine[:-1])
        assert 1 <= len(mine[-1]) <= batch_size


def flat(seed: int, epochs: int, batch_size: int = 7) -> list[int]:
    return np.concatenate([batch for batch, _ in batches_of(Order(np.arange(50), seed), batch_size, epochs)]).tolist()


def test_the_order_depends_on_seed_and_epoch_and_not_on_the_batch_size() -> None:
    assert flat(0, 3) == flat(0, 3, batch_size=11)
    assert flat(0, 3)[:50] == flat(0, 1)
    assert len({tuple(flat(0, 3)[start : start + 50]) for start in (0, 50, 100)}) == 3
    assert flat(0, 1) != flat(1, 1)
    assert flat(0, 1) != list(range(50))


def test_the_positions_are_not_modified() -> None:
    positions = np.arange(20)
    list(batches_of(Order(positions, 0), 3, 2))
    assert positions.tolist() == list(range(20))


@pytest.mark.parametrize(("samples", "size", "expected"), [(0, 4, 0), (1, 4, 1), (4, 4, 1), (5, 4, 2), (8, 4, 2)])
def test_steps(samples: int, size: int, expected: int) -> None:
    assert steps_per_epoch(samples, size) == expected
    assert len(list(batches_of(Order(np.arange(samples), 0), size, 1))) == expected


@given(st.integers(1, 40), st.integers(1, 12), st.integers(1, 3), st.data())
def test_a_stream_goes_on_where_another_one_stopped(
    samples: int, batch_size: int, epochs: int, data: st.DataObject
) -> None:
    positions = np.arange(samples)
    whole = list(batches_of(Order(positions, 0), batch_size, epochs))
    assert whole[-1][1] == Position(epochs)
    stopped = data.draw(st.integers(0, len(whole) - 1))
    rest = list(batches_of(Order(positions, 0), batch_size, epochs, whole[stopped][1]))
    assert [after for _, after in rest] == [after for _, after in whole[stopped + 1 :]]
    assert all(np.array_equal(a, b) for (a, _), (b, _) in zip(rest, whole[stopped + 1 :], strict=True))


def test_another_batch_size_goes_on_at_the_next_sample() -> None:
    first = next(batches_of(Order(np.arange(10), 0), 4, 1))
    rest = [batch for batch, _ in batches_of(Order(np.arange(10), 0), 3, 1, first[1])]
    assert sorted(np.concatenate([first[0], *rest]).tolist()) == list(range(10))


@given(
    st.lists(st.sampled_from([0.3, 0.5, 1.0, 1.7, 3.0]), min_size=1, max_size=40),
    st.integers(1, 7),
    st.integers(0, 3),
)
def test_a_sample_appears_as_often_as_its_weight_says(weights: list[float], epochs: int, seed: int) -> None:
    each = np.array(weights)
    order = Order(np.arange(len(weights)) * 10, seed, each)
    counts = np.zeros(len(weights), int)
    for epoch in range(epochs):
        positions = order.epoch(epoch)
        assert len(positions) == order.length(epoch)
        counts += np.bincount(positions // 10, minlength=len(weights))
        assert (np.abs(counts - each * (epoch + 1)) < 1 + 1e-9).all()
    batches = list(batches_of(order, 4, epochs))
    assert sum(len(batch) for batch, _ in batches) == counts.sum()
    assert len(batches) == steps(order, 4, epochs)


def test_epochs_of_a_weighted_corpus_are_equally_long() -> None:
    order = Order(np.arange(1000), 0, np.repeat([0.25, 2.5], 500))
    lengths = [order.length(epoch) for epoch in range(8)]
    assert max(lengths) - min(lengths) <= 2
    assert sum(lengths) == 8 * 500 * 2.75
    assert len(set(order.epoch(0)[order.epoch(0) < 500])) == 125


def test_a_buffer_reads_shard_after_shard_and_moves_no_sample_further() -> None:
    shards = np.repeat(np.arange(10, dtype=np.int32), 100)
    order = Order(np.arange(1000), 3, buffer=50, shards=shards)
    first, second = order.epoch(0), order.epoch(1)
    assert sorted(first.tolist()) == sorted(second.tolist()) == list(range(1000))
    assert first.tolist() != second.tolist()
    seen = shards[first]
    turns = [int(shard) for number, shard in enumerate(seen) if number == 0 or shard not in seen[:number]]
    assert turns != sorted(turns)  # shards come in another order
    for number, shard in enumerate(turns):  # and each near its turn
        places = np.flatnonzero(seen == shard)
        assert places.min() >= number * 100 - 50
        assert places.max() < (number + 1) * 100 + 50
        assert (np.diff(first[places]) != 1).mean() > 0.5  # mixed within
    assert order.epoch(0).tolist() == first.tolist()
    assert Order(np.arange(1000), 4, buffer=50, shards=shards).epoch(0).tolist() != first.tolist()
