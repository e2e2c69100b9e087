"""Where a long training keeps its checkpoints until its artifact is committed."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tbar_ray.errors import ResumeError
from tbar_ray.store.commit import sha256
from tbar_ray.store.store import Store
from tbar_ray.store.temporary import temporary

if TYPE_CHECKING:
    from tbar_ray.training.resume import TrainingCheckpoint

DIGEST = 32
"""Bytes of a SHA-256."""


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
        """Seconds between checkpoints."""
        return 60 * self.minutes

    def last(self) -> TrainingCheckpoint | None:
        """The last checkpoint; None if there is none.

        Raises:
            ResumeError: if there is one that is damaged.
        """
        from tbar_ray.training.resume import TrainingCheckpoint

        with temporary("checkpoint") as scratch:
            copy = scratch / "checkpoint.pt"
            if not self.store.read_file(self._path, copy):
                return None
            unseal(copy)
            return TrainingCheckpoint.load(copy)

    def keep(self, checkpoint: TrainingCheckpoint) -> None:
        """Write a checkpoint, replacing the last one."""
        scratch = self.store.scratch()
        try:
            checkpoint.save(scratch / "checkpoint.pt")
            seal(scratch / "checkpoint.pt")
            self.store.write_file(scratch / "checkpoint.pt", self._path)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)  # of a full disk half a file is left

    def remove(self) -> None:
        """Remove the checkpoint; the artifact takes its place."""
        self.store.remove(self._path)

    @property
    def _path(self) -> str:
        return f"checkpoints/{self.artifact}.pt"


def seal(file: Path) -> None:
    """Append the SHA-256 of a file to it: a checkpoint and its hash are replaced as one."""
    digest = bytes.fromhex(sha256(file))
    with file.open("ab") as opened:
        opened.write(digest)


def unseal(file: Path) -> None:
    """Take the hash off a file again.

    Raises:
        ResumeError: if the file is not what was sealed.
    """
    size = file.stat().st_size - DIGEST
    if size < 0:
        raise ResumeError("it is cut off")
    with file.open("r+b") as opened:
        opened.seek(size)
        digest = opened.read()
        opened.truncate(size)
    if bytes.fromhex(sha256(file)) != digest:
        raise ResumeError("it is damaged: its bytes are not those that were written")
