"""A bar for each part of a long command, on stderr."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tbar_ray.cli.console import make_console


@contextmanager
def watching() -> Iterator[Callable[[str, int, int], None]]:
    """Yield a callback that is given what is being done, how many parts are done, and how many there are.

    Finished parts stay; the present one shows what remains of it. In a log there are no bars.
    """
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    bars, tasks = Progress(*columns, console=make_console(stderr=True)), dict[str, TaskID]()

    def watch(what: str, done: int, total: int) -> None:
        bars.start()
        if what not in tasks:
            tasks[what] = bars.add_task(what, total=None)
        bars.update(tasks[what], completed=done, total=total or None)

    try:
        yield watch
    finally:
        if tasks:  # else an error would come after an empty line
            bars.stop()
