"""A progress bar on stderr, for commands that go through many files."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


class Bar:
    """One line of a progress bar."""

    def __init__(self, progress: Progress, row: TaskID) -> None:
        self._progress, self._row = progress, row

    def advance(self, count: int) -> None:
        """So many more are done."""
        self._progress.advance(self._row, count)

    def show(self, done: int, total: int) -> None:
        """So many of so many are done."""
        self._progress.update(self._row, completed=done, total=total)


@contextmanager
def progress_bar(what: str, total: int | None = None) -> Iterator[Bar]:
    """Show a bar until the end of the block; it vanishes then."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from tbar_ray.cli.console import make_console

    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=make_console(stderr=True), transient=True) as progress:
        yield Bar(progress, progress.add_task(what, total=total))
