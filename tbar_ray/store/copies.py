"""Copies of a remote store's artifacts: each is downloaded once per machine and user."""

from __future__ import annotations

import os
import shutil
import tempfile
import uuid
from pathlib import Path

from tbar_ray.errors import BrokenArtifactError, StoreError
from tbar_ray.store.commit import COMMIT
from tbar_ray.store.integrity import Integrity
from tbar_ray.store.placing import place
from tbar_ray.store.reached import Reached, reason


class Copies:
    """The copies of a store's artifacts on this machine.

    Args:
        url: the store's, for messages.
        system: the store's file system.
        artifacts: where the artifacts are in it.
        integrity: what tells a copy that is not what was committed.
    """

    def __init__(self, url: str, system: Reached, artifacts: str, integrity: Integrity) -> None:
        self._url, self._fs, self._artifacts, self._integrity = url, system, artifacts, integrity

    def get(self, name: str) -> Path:
        """Download an artifact, unless there is a sound copy; return the folder of the copy.

        Raises:
            StoreError: if it cannot be downloaded.
        """
        local = self._copy(name)
        if (local / COMMIT).exists():
            try:
                self._integrity.check(name, local)
            except BrokenArtifactError:  # this copy is, not the artifact
                shutil.rmtree(local, ignore_errors=True)
        if not (local / COMMIT).exists():
            part = local.with_name(f"{name}.{uuid.uuid4().hex}")
            try:
                self._fs.get(f"{self._artifacts}/{name}/", str(part) + "/", recursive=True)
                place(part, local, (local / COMMIT).exists)
            except OSError as error:
                raise StoreError(f"store {self._url}: {name} cannot be read: {reason(error)}") from None
        return local

    def remove(self, name: str) -> None:
        """Remove the copy of an artifact, if there is one."""
        shutil.rmtree(self._copy(name), ignore_errors=True)

    def _copy(self, name: str) -> Path:
        return Path(tempfile.gettempdir()) / f"tbar-artifacts-{os.getuid()}" / name
