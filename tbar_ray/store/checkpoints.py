"""Where a long training keeps its checkpoints until its artifact is committed."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tbar_ray.store.store import Store

if TYPE_CHECKING:
    from tbar_ray.training.resume import TrainingCheckpoint


@dataclass(frozen=True)
class Checkpoints:
    """The checkpoint of one stage, in the store: any node that continues the stage finds it there.

    Attributes:
        store: the campaign's store.
        artifact: the artifact that the stage will commit.
        minutes: time between checkpoints.
    """

    store: Store
    artifact: str
    minutes: float

    @property
    def every(self) -> float:
        """Return the seconds between checkpoints."""
        return 60 * self.minutes

    def last(self) -> TrainingCheckpoint | None:
        """Return the last checkpoint; None if there is none.

        Raises:
            CheckpointError: if there is one that cannot be read.
        """
        from tbar_ray.training.resume import TrainingCheckpoint

        with tempfile.TemporaryDirectory(prefix="tbar-checkpoint-") as scratch:
            copy = Path(scratch) / "checkpoint.pt"
            return TrainingCheckpoint.load(copy) if self.store.read_file(self._path, copy) else None

    def keep(self, checkpoint: TrainingCheckpoint) -> None:
        """Write a checkpoint, replacing the last one."""
        scratch = self.store.scratch()
        try:
            checkpoint.save(scratch / "checkpoint.pt")
            self.store.write_file(scratch / "checkpoint.pt", self._path)
        finally:
            scratch.rmdir()

    def remove(self) -> None:
        """Remove the checkpoint; the artifact takes its place."""
        self.store.remove(self._path)

    @property
    def _path(self) -> str:
        return f"checkpoints/{self.artifact}.pt"
