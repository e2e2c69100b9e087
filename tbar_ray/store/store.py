"""The artifact store: content-addressed, on any fsspec URL, written atomically.

    STORE/artifacts/<kind>-<fingerprint>/…            what a stage wrote
    STORE/artifacts/<kind>-<fingerprint>/artifact.json  the commit: written last, names every file
    STORE/checkpoints/<kind>-<fingerprint>.pt         a training that has not ended
    STORE/campaigns/<name>/<fingerprint>/…            a campaign's spec and its trials

An artifact without its commit does not exist: a killed stage leaves nothing that could be half read. A commit holds
the size and the SHA-256 of every file: what is not as it was committed counts as absent, and is computed again.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tbar_ray.errors import BrokenArtifactError, StoreError
from tbar_ray.store.commit import COMMIT, CommittedFile, commit_of, committed_files, described
from tbar_ray.store.copies import Copies
from tbar_ray.store.files import StoreFiles
from tbar_ray.store.integrity import Integrity
from tbar_ray.store.placing import place, share
from tbar_ray.store.reached import reason
from tbar_ray.store.scratch import new_scratch, remove_abandoned_scratch, room_failure
from tbar_ray.store.temporary import temporary_folder

SMALL = 1_000_000
"""Bytes up to which a file is hashed when an artifact is looked at; a larger one is when it is first read."""


class Store(StoreFiles):
    """A store at a URL; cheap to build and to send to other processes.

    Args:
        url: a local path or any fsspec URL (s3://…, gs://…).

    Attributes:
        fetched: the artifacts that were fetched through this object, with their bytes.

    Raises:
        StoreError: if the URL's library is missing.
    """

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.fetched: dict[str, int] = {}
        self._integrity = Integrity(self.url)
        self._copies = Copies(self.url, self._fs, f"{self._root}/artifacts", self._integrity)

    def __reduce__(self) -> tuple[type[Store], tuple[str], float]:
        return Store, (self.url,), self._fs.patience

    def __setstate__(self, patience: float) -> None:
        """Be as patient as the store that was sent: it had been reached."""
        self._fs.patience = patience

    def artifact_url(self, name: str) -> str:
        """Where an artifact's files are, as a URL that any fsspec reader opens.

        Raises:
            BrokenArtifactError: if the store is a folder, and they are not what was committed.
        """
        path = self._at(name)
        if self.is_local:
            if self._fs.exists(f"{path}/{COMMIT}"):
                self._integrity.check(name, Path(path))
            return path
        return str(self._fs.unstrip_protocol(path))

    def has(self, name: str) -> bool:
        """Whether an artifact is committed, and its files have the sizes that they had then."""
        return self._fs.exists(f"{self._at(name)}/{COMMIT}") and self.problem(name) is None

    def problem(self, name: str) -> str | None:
        """What is wrong with an artifact by its commit and the sizes of its files; None if nothing is."""
        path = self._at(name)
        try:
            files = committed_files(self._fs.cat_file(f"{path}/{COMMIT}"))
            sizes = self._sizes(path)
        except FileNotFoundError:
            return f"{COMMIT} is missing"
        except (OSError, ValueError) as error:
            return reason(error)
        wrong = (file for file, entry in files.items() if not entry.dropped and sizes.get(file) != entry.size)
        return next((f"{file} has {sizes.get(file, 'no')} bytes of {files[file].size}" for file in wrong), None)

    def is_sound(self, name: str) -> bool:
        """Whether an artifact is there, with the right sizes and, of its small files, the right bytes."""
        if not self.has(name):
            return False
        if not self.is_local:
            return True  # a download is verified when it has arrived
        small = [file for file, entry in self._files(name).items() if entry.size <= SMALL and not entry.dropped]
        try:
            self._integrity.check(name, Path(self._at(name)), small)
        except BrokenArtifactError:
            return False
        return True

    def commit(self, name: str, folder: Path, facts: Mapping[str, Any]) -> None:
        """Publish the files of `folder` as an artifact, and `facts` about them; the folder is consumed.

        If another process committed the same artifact first, that one stays (the content is the same).

        Raises:
            StoreError: if the store cannot be written, or its disk is full.
        """
        target = self._at(name)
        try:
            files = described(folder)
            commit = commit_of(name, facts, files)
            if self.is_local:
                (folder / COMMIT).write_text(commit)
                for file in files:
                    share(folder / file, folder)
                place(folder, Path(target), lambda: self.problem(name) is None)
            else:
                for file in files:
                    self._fs.put_file(str(folder / file), f"{target}/{file}")
                self._fs.pipe_file(f"{target}/{COMMIT}", commit.encode())
        except OSError as error:
            raise StoreError(f"store {self.url}: {name} cannot be written: {reason(error)}") from None

    def discard(self, name: str) -> None:
        """Remove an artifact, its commit first.

        Raises:
            StoreError: if the store cannot be written.
        """
        target = self._at(name)
        try:
            if self._fs.exists(f"{target}/{COMMIT}"):
                self._fs.rm_file(f"{target}/{COMMIT}")
            if self._fs.exists(target):
                self._fs.rm(target, recursive=True)
        except FileNotFoundError:
            pass  # another process was first
        except OSError as error:
            raise StoreError(f"store {self.url}: {name} cannot be removed: {reason(error)}") from None
        self._copies.remove(name)

    def drop(self, name: str, file: str) -> None:
        """Remove one file of an artifact to save room; who asks for it later finds the artifact broken.

        Raises:
            StoreError: if the store cannot be written.
        """
        facts = self.facts(name)
        files = self._files(name)
        files[file] = CommittedFile(files[file].size, files[file].sha256, dropped=True)
        own = ("name", "files")
        commit = json.loads(commit_of(name, {key: value for key, value in facts.items() if key not in own}, files))
        self.write_json(f"artifacts/{name}/{COMMIT}", commit)  # before the file goes: never a file that is missing
        self.remove(f"artifacts/{name}/{file}")

    def fetch(self, name: str, *files: str) -> Path:
        """Local folder with an artifact's files (downloaded once per machine if the store is remote).

        Args:
            name: the artifact.
            files: those that will be read; all of them, unless some are named. Each is hashed when a process asks for
                it first.

        Raises:
            BrokenArtifactError: if the artifact is not committed, or its files are not what was committed.
            StoreError: if the store cannot be read.
        """
        if not self._fs.exists(f"{self._at(name)}/{COMMIT}"):
            raise BrokenArtifactError(f"store {self.url} has no artifact {name}", name)
        folder = self._folder(name)
        self._integrity.check(name, folder, files or None)
        if name not in self.fetched:
            self.fetched[name] = sum(file.stat().st_size for file in folder.iterdir())
        return folder

    def verify(self, name: str, *, whole: bool = False) -> str | None:
        """Hash every file of an artifact; return what is wrong, None if nothing is.

        Args:
            name: the artifact.
            whole: whether files that were dropped are missed.
        """
        if (problem := self.problem(name)) is not None:
            return problem
        self._integrity.forget()
        if not self.is_local:
            self._copies.remove(name)
        kept = [file for file, entry in self._files(name).items() if whole or not entry.dropped]
        try:
            self._integrity.check(name, self._folder(name), kept)
        except BrokenArtifactError as error:
            return error.why
        return None

    def facts(self, name: str) -> dict[str, Any]:
        """What the commit of an artifact says: its name, its files, and the facts that were given with them."""
        facts: dict[str, Any] = self.read_json(f"artifacts/{name}/{COMMIT}")
        return facts

    def artifacts(self) -> list[str]:
        """Names of the committed artifacts whose files have the right sizes, sorted."""
        return [name for name in self.list_folder("artifacts") if self.has(name)]

    def scratch(self) -> Path:
        """Make a temporary folder, on the store's own disk where it is local (so that renaming works)."""
        if not self.is_local:
            return temporary_folder("stage")
        try:
            return new_scratch(self._tmp)
        except OSError as error:
            raise StoreError(f"store {self.url} cannot be written: {reason(error)}") from None

    def check_room(self, scratch: Path, error: BaseException) -> None:
        """Find out whether a folder of `scratch` could not be written, and that is what an error means.

        Raises:
            StoreError: one line, if it cannot be written any more.
        """
        if (cause := room_failure(scratch, error)) is not None:
            where = f"store {self.url}" if self.is_local else f"temporary folder {scratch.parent}"
            raise StoreError(
                f"{where}: cannot be written any more: {reason(cause)}; make room, or choose another, and run "
                f"the same command again"
            ) from None

    def check_space(self, scratch: Path, size: int, what: str) -> None:
        """Make sure that the disk of a folder of `scratch` has room, before anything is computed for it.

        Args:
            scratch: the folder.
            size: bytes that are going to be written, roughly.
            what: what they are.

        Raises:
            StoreError: one line, if there is less room.
        """
        free = shutil.disk_usage(scratch).free
        if free < size:
            where = f"store {self.url}" if self.is_local else f"temporary folder {scratch.parent}"
            raise StoreError(
                f"{where}: {free / 1e9:.1f} GB are free, and {what} writes about {size / 1e9:.1f} GB; make room, or "
                f"choose another, and run the same command again"
            )

    def remove_abandoned_scratch(self) -> int:
        """Remove the folders under `tmp` of processes that have ended; return how many."""
        return remove_abandoned_scratch(self._tmp) if self.is_local else 0

    @property
    def _tmp(self) -> Path:
        return Path(self._root) / "tmp"

    def _at(self, name: str) -> str:
        return f"{self._root}/artifacts/{name}"

    def _folder(self, name: str) -> Path:
        return Path(self._at(name)) if self.is_local else self._copies.get(name)

    def _files(self, name: str) -> dict[str, CommittedFile]:
        try:
            return committed_files(self._fs.cat_file(f"{self._at(name)}/{COMMIT}"))
        except (OSError, ValueError) as error:
            raise self._integrity.broken(name, reason(error)) from None

    def _sizes(self, path: str) -> dict[str, int]:
        """Bytes of every file under a folder of the store, by its path in the folder."""
        found = self._fs.find(path, detail=True)
        start = len(self._fs._strip_protocol(path).rstrip("/")) + 1
        return {self._fs._strip_protocol(entry)[start:]: int(facts["size"]) for entry, facts in found.items()}
