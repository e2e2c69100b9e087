import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tbar_ray.streaming.order import Position, batches_of, steps_per_epoch


@given(st.sets(st.integers(0, 10_000), min_size=1, max_size=60), st.integers(1, 70), st.integers(1, 3))
def test_each_sample_comes_exactly_once_per_epoch(chosen: set[int], batch_size: int, epochs: int) -> None:
    positions = np.array(sorted(chosen), dtype=np.int64)
    batches = [batch for batch, _ in batches_of(positions, batch_size, 5, epochs)]
    steps = steps_per_epoch(len(positions), batch_size)
    assert len(batches) == steps * epochs
    for epoch in range(epochs):
        mine = batches[epoch * steps : (epoch + 1) * steps]
        assert sorted(np.concatenate(mine).tolist()) == sorted(chosen)
        assert all(len(batch) == batch_size for batch in mine[:-1])
        assert 1 <= len(mine[-1]) <= batch_size


def flat(seed: int, epochs: int, batch_size: int = 7) -> list[int]:
    return np.concatenate([batch for batch, _ in batches_of(np.arange(50), batch_size, seed, epochs)]).tolist()


def test_the_order_depends_on_seed_and_epoch_and_not_on_the_batch_size() -> None:
    assert flat(0, 3) == flat(0, 3, batch_size=11)
    assert flat(0, 3)[:50] == flat(0, 1)
    assert len({tuple(flat(0, 3)[start : start + 50]) for start in (0, 50, 100)}) == 3
    assert flat(0, 1) != flat(1, 1)
    assert flat(0, 1) != list(range(50))


def test_the_positions_are_not_modified() -> None:
    positions = np.arange(20)
    list(batches_of(positions, 3, 0, 2))
    assert positions.tolist() == list(range(20))


@pytest.mark.parametrize(("samples", "size", "steps"), [(0, 4, 0), (1, 4, 1), (4, 4, 1), (5, 4, 2), (8, 4, 2)])
def test_steps(samples: int, size: int, steps: int) -> None:
    assert steps_per_epoch(samples, size) == steps
    assert len(list(batches_of(np.arange(samples), size, 0, 1))) == steps


@given(st.integers(1, 40), st.integers(1, 12), st.integers(1, 3), st.data())
def test_a_stream_goes_on_where_another_one_stopped(
    samples: int, batch_size: int, epochs: int, data: st.DataObject
) -> None:
    positions = np.arange(samples)
    whole = list(batches_of(positions, batch_size, 0, epochs))
    assert whole[-1][1] == Position(epochs)
    stopped = data.draw(st.integers(0, len(whole) - 1))
    rest = list(batches_of(positions, batch_size, 0, epochs, whole[stopped][1]))
    assert [after for _, after in rest] == [after for _, after in whole[stopped + 1 :]]
    assert all(np.array_equal(a, b) for (a, _), (b, _) in zip(rest, whole[stopped + 1 :], strict=True))


def test_another_batch_size_goes_on_at_the_next_sample() -> None:
    first = next(batches_of(np.arange(10), 4, 0, 1))
    rest = [batch for batch, _ in batches_of(np.arange(10), 3, 0, 1, first[1])]
    assert sorted(np.concatenate([first[0], *rest]).tolist()) == list(range(10))
