"""Progress of trainings: a callback, or a bar."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tbar_ray.training.loop import Progress


@contextmanager
def reporting(progress: bool | Progress, title: str) -> Iterator[Progress | None]:
    """Yield the progress callback of a training: the given one, that of a bar, or None."""
    if not isinstance(progress, bool):
        yield progress
        return
    if not progress:
        yield None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[loss]}"))
    with Bar(*columns, transient=True) as bar:
        task = bar.add_task(title, total=None, loss="")

        def report(step: int, total: int, loss: float, rate: float) -> None:  # noqa: ARG001 - the bar shows no rate
            bar.update(task, completed=step, total=total, loss=f"loss {loss:.3f}")

        yield report
