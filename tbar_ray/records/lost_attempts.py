"""Attempts at stages that were cut off, kept beside the records: what they held, and how much of it was done again."""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from typing import Literal

from pydantic import TypeAdapter

from tbar_ray.records.account import HOUR
from tbar_ray.records.kept_files import kept_files
from tbar_ray.records.part import Part
from tbar_ray.store.store import Store

FOLDER = "lost"
"""Folder of a campaign's folder: a file for each time that something was lost."""
Loss = Literal["process", "node", "coordinator", "launch"]
"""What was lost under a stage: its process, its node, the coordinator, or the launch itself."""


class LostAttempt(Part):
    """An attempt at a stage that was cut off.

    Attributes:
        title: of the stage.
        cause: what was lost under it.
        seconds: how long it had run.
        wasted: the seconds since its last checkpoint, from which the next attempt goes on; all where there was none.
        cpus, gpus: what it held in that time.
    """

    title: str
    cause: Loss
    seconds: float
    wasted: float
    cpus: float
    gpus: float

    @property
    def cpu_hours(self) -> float:
        """CPU-hours that it held."""
        return self.seconds * self.cpus / HOUR

    @property
    def gpu_hours(self) -> float:
        """GPU-hours that it held."""
        return self.seconds * self.gpus / HOUR

    @property
    def wasted_cpu_hours(self) -> float:
        """CPU-hours since its last checkpoint."""
        return self.wasted * self.cpus / HOUR

    @property
    def wasted_gpu_hours(self) -> float:
        """GPU-hours since its last checkpoint."""
        return self.wasted * self.gpus / HOUR


_FILE = TypeAdapter(list[LostAttempt])


def note_lost(store: Store, folder: str, attempts: Sequence[LostAttempt]) -> None:
    """Write down attempts that were lost at one time.

    Args:
        store: of the campaign.
        folder: of the campaign in the store.
        attempts: those that have not been written down.
    """
    name = f"{time.time_ns()}-{uuid.uuid4().hex[:8]}"
    store.write_json(f"{folder}/{FOLDER}/{name}.json", _FILE.dump_python(list(attempts), mode="json"))


def lost_attempts_of(store: Store, folder: str) -> list[LostAttempt]:
    """The attempts that all launches of a campaign have lost, oldest first.

    Raises:
        StoreError: if a file of them is broken.
    """
    return [attempt for file in kept_files(store, f"{folder}/{FOLDER}", _FILE.validate_python) for attempt in file]
