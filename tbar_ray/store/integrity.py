"""Whether the files of an artifact are what was committed: sizes always, hashes once in a process."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tbar_ray.errors import BrokenArtifactError, StoreError
from tbar_ray.store.commit import COMMIT, committed_files, sha256
from tbar_ray.store.reached import reason


class Integrity:
    """Compares files on this machine with their commits, and remembers those that it has hashed.

    Args:
        url: the store's, for messages.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._verified: set[tuple[str, int, int]] = set()

    def check(self, name: str, folder: Path, names: Sequence[str] | None = None) -> None:
        """Compare files of an artifact that lie in `folder` with its commit.

        Args:
            name: the artifact.
            folder: where its files and its commit are.
            names: those to compare; None for all. One that the artifact lacks is passed over: it is optional.

        Raises:
            BrokenArtifactError: if one is not what was committed, or was dropped.
            StoreError: if one cannot be read.
        """
        try:
            files = committed_files((folder / COMMIT).read_bytes())
        except (OSError, ValueError) as error:
            raise self.broken(name, reason(error)) from None
        for file in files if names is None else names:
            if (entry := files.get(file)) is None:
                continue  # an optional file, which this artifact lacks
            if entry.dropped:
                raise self.broken(name, f"{file} was dropped by `tbar store gc`")
            path = folder / file
            try:
                status = path.stat()
                key = (str(path), status.st_size, status.st_mtime_ns)
                if status.st_size != entry.size:
                    raise self.broken(name, f"{file} has {status.st_size} bytes of {entry.size}")
                if key not in self._verified and entry.sha256 is not None and sha256(path) != entry.sha256:
                    raise self.broken(name, f"{file} has other bytes than were committed")
            except FileNotFoundError:
                raise self.broken(name, f"{file} is missing") from None
            except OSError as error:
                raise StoreError(f"store {self._url}: {name} cannot be read: {reason(error)}") from None
            self._verified.add(key)

    def forget(self) -> None:
        """Hash every file anew from now on."""
        self._verified.clear()

    def broken(self, name: str, why: str) -> BrokenArtifactError:
        """Error that says of an artifact what is wrong with it, and what to do."""
        return BrokenArtifactError(f"store {self._url}: {name} is broken: {why}; run the campaign again", name, why)
