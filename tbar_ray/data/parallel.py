"""A function on many tasks, in processes of this machine."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

from tbar_ray.errors import DataError
from tbar_ray.processors import processors

T = TypeVar("T")
R = TypeVar("R")


def completed(
    function: Callable[[T], R], tasks: Sequence[T], workers: int | None, died: str
) -> Iterator[tuple[int, R]]:
    """Yield (position of the task, result) as tasks are done, in any order.

    Args:
        function: of a module, so that it pickles, as its tasks and results must.
        tasks: what it is called with.
        workers: processes; None for one per available processor. One task, or one worker, runs in this process.
        died: the error line if a process dies.

    Raises:
        DataError: if there is less than one worker, or a process died; and whatever the function raises.
    """
    wanted = processors() if workers is None else workers
    if wanted < 1:
        raise DataError(f"workers must be at least 1, not {wanted}")
    count = min(wanted, len(tasks))
    if count <= 1:
        yield from enumerate(map(function, tasks))
        return
    # Spawned, since a forked worker would inherit the locks of the caller's threads (torch, ray, a progress bar).
    pool = ProcessPoolExecutor(count, mp_context=multiprocessing.get_context("spawn"))
    try:
        positions = {pool.submit(function, task): position for position, task in enumerate(tasks)}
        for future in as_completed(positions):
            yield positions[future], future.result()
    except BrokenProcessPool as error:
        raise DataError(died) from error
    finally:
        pool.shutdown(cancel_futures=True)
