"""The artifact store: content-addressed, on any fsspec URL, written atomically.

    STORE/artifacts/<kind>-<fingerprint>/…            what a stage wrote
    STORE/artifacts/<kind>-<fingerprint>/artifact.json  the commit: written last, names every file
    STORE/checkpoints/<kind>-<fingerprint>.pt         a training that has not ended
    STORE/campaigns/<name>/<fingerprint>/…            a campaign's spec and its trials

An artifact without its commit does not exist: a killed stage leaves nothing that could be read in part.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import socket
import tempfile
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import fsspec

from tbar_ray.errors import StoreError

COMMIT = "artifact.json"
ABANDONED_AFTER = 7 * 24 * 3600.0
"""Seconds after which scratch of another machine counts as abandoned: its processes cannot be queried."""


class Store:
    """A store at a URL; cheap to build and to send to other processes.

    Args:
        url: a local path or any fsspec URL (s3://…, gs://…).

    Attributes:
        fetched: the artifacts that were fetched through this object, with their bytes.

    Raises:
        StoreError: if the URL's library is missing.
    """

    def __init__(self, url: str) -> None:
        self.url = url if "://" in url else str(Path(url).expanduser().absolute())
        try:
            self._fs, self._root = fsspec.core.url_to_fs(self.url)
        except (ImportError, ValueError) as error:
            raise StoreError(f"store {url}: {error}; install tbar-ray[s3] or tbar-ray[gcs]") from None
        self.fetched: dict[str, int] = {}
        self.is_local = "file" in ([self._fs.protocol] if isinstance(self._fs.protocol, str) else self._fs.protocol)

    def __reduce__(self) -> tuple[type[Store], tuple[str]]:
        return Store, (self.url,)

    def check(self, min_free_gb: float = 0.5) -> None:
        """Check that the store can be written and has room, before anything is computed.

        Raises:
            StoreError: one line with the reason.
        """
        probe = f"{self._root}/.probe-{uuid.uuid4().hex}"
        try:
            self._fs.makedirs(self._root, exist_ok=True)
            self._fs.pipe_file(probe, b"tbar")
            self._fs.rm_file(probe)
        except Exception as error:  # every back-end has errors of its own
            raise StoreError(
                f"store {self.url} cannot be written: {_reason(error)}; choose another with --store"
            ) from None
        if self.is_local:
            free = shutil.disk_usage(self._root).free / 1e9
            if free < min_free_gb:
                raise StoreError(
                    f"store {self.url}: no free disk: {free:.1f} GB left, {min_free_gb:g} GB wanted; "
                    f"free some or choose another with --store"
                )

    def artifact_url(self, name: str) -> str:
        """Return where an artifact's files are, as a URL that any fsspec reader opens."""
        path = f"{self._root}/artifacts/{name}"
        return path if self.is_local else str(self._fs.unstrip_protocol(path))

    def has(self, name: str) -> bool:
        """Whether an artifact is committed."""
        return bool(self._fs.exists(f"{self._root}/artifacts/{name}/{COMMIT}"))

    def commit(self, name: str, folder: Path, facts: Mapping[str, Any]) -> None:
        """Publish the files of `folder` as an artifact, and `facts` about them; the folder is consumed.

        If another process committed the same artifact first, that one stays (the content is the same).

        Raises:
            StoreError: if the store cannot be written, or its disk is full.
        """
        files = {str(f.relative_to(folder)): f.stat().st_size for f in sorted(folder.rglob("*")) if f.is_file()}
        commit = json.dumps({"name": name, **facts, "files": files}, indent=1, sort_keys=True)
        target = f"{self._root}/artifacts/{name}"
        try:
            if self.is_local:
                (folder / COMMIT).write_text(commit)
                self._rename(folder, Path(target))
            else:
                for file in files:
                    self._fs.put_file(str(folder / file), f"{target}/{file}")
                self._fs.pipe_file(f"{target}/{COMMIT}", commit.encode())
        except OSError as error:
            raise StoreError(f"store {self.url}: {name} cannot be written: {_reason(error)}") from None

    def scratch(self) -> Path:
        """Return a new temporary folder, on the store's own disk where it is local (so that renaming works)."""
        if not self.is_local:
            return Path(tempfile.mkdtemp(prefix="tbar-"))
        parent = Path(self._root) / "tmp"
        try:
            parent.mkdir(parents=True, exist_ok=True)
            return Path(tempfile.mkdtemp(prefix=f"{socket.gethostname()}-{os.getpid()}-", dir=parent))
        except OSError as error:
            raise StoreError(f"store {self.url} cannot be written: {_reason(error)}") from None

    def remove_abandoned_scratch(self) -> int:
        """Remove the folders under `tmp` of processes that have ended; return how many."""
        parent = Path(self._root) / "tmp"
        if not self.is_local or not parent.is_dir():
            return 0
        abandoned = [folder for folder in parent.iterdir() if _is_abandoned(folder)]
        for folder in abandoned:
            shutil.rmtree(folder, ignore_errors=True)
        return len(abandoned)

    def fetch(self, name: str) -> Path:
        """Return a local folder with an artifact's files (downloaded once per machine if the store is remote).

        Raises:
            StoreError: if the artifact is not committed or cannot be read.
        """
        if not self.has(name):
            raise StoreError(f"store {self.url} has no artifact {name}")
        folder = Path(f"{self._root}/artifacts/{name}") if self.is_local else self._download(name)
        if name not in self.fetched:
            self.fetched[name] = sum(file.stat().st_size for file in folder.iterdir())
        return folder

    def _download(self, name: str) -> Path:
        local = Path(tempfile.gettempdir()) / f"tbar-artifacts-{os.getuid()}" / name
        if not (local / COMMIT).exists():
            part = local.with_name(f"{name}.{uuid.uuid4().hex}")
            try:
                self._fs.get(f"{self._root}/artifacts/{name}/", str(part) + "/", recursive=True)
                self._rename(part, local)
            except OSError as error:
                raise StoreError(f"store {self.url}: {name} cannot be read: {_reason(error)}") from None
        return local

    def facts(self, name: str) -> dict[str, Any]:
        """Return the facts that were given when an artifact was committed."""
        facts: dict[str, Any] = self.read_json(f"artifacts/{name}/{COMMIT}")
        return facts

    def artifacts(self) -> list[str]:
        """Return the names of all committed artifacts."""
        folder = f"{self._root}/artifacts"
        if not self._fs.exists(folder):
            return []
        names = sorted(str(entry).rstrip("/").rsplit("/", 1)[-1] for entry in self._fs.ls(folder, detail=False))
        return [name for name in names if self.has(name)]

    def write_json(self, path: str, content: Any) -> None:
        """Write a small JSON file atomically.

        Raises:
            StoreError: if the store cannot be written.
        """
        text = json.dumps(content, indent=1, sort_keys=True).encode()
        target = f"{self._root}/{path}"
        try:
            self._fs.makedirs(target.rsplit("/", 1)[0], exist_ok=True)
            if self.is_local:
                part = Path(f"{target}.{uuid.uuid4().hex}")
                part.write_bytes(text)
                part.replace(target)
            else:
                self._fs.pipe_file(target, text)  # object stores replace whole objects
        except OSError as error:
            raise StoreError(f"store {self.url}: {path} cannot be written: {_reason(error)}") from None

    def read_json(self, path: str) -> Any:
        """Read a JSON file.

        Raises:
            StoreError: if it is missing or broken.
        """
        try:
            return json.loads(self._fs.cat_file(f"{self._root}/{path}"))
        except (OSError, ValueError) as error:
            raise StoreError(f"store {self.url}: {path} cannot be read: {_reason(error)}") from None

    def write_file(self, file: Path, path: str) -> None:
        """Move a local file into the store, atomically, replacing an earlier one.

        Raises:
            StoreError: if the store cannot be written.
        """
        target = f"{self._root}/{path}"
        try:
            self._fs.makedirs(target.rsplit("/", 1)[0], exist_ok=True)
            if self.is_local:
                file.replace(target)
            else:
                self._fs.put_file(str(file), target)
                file.unlink()
        except OSError as error:
            raise StoreError(f"store {self.url}: {path} cannot be written: {_reason(error)}") from None

    def read_file(self, path: str, to: Path) -> bool:
        """Copy a file of the store to a local path; return whether the store has it.

        Raises:
            StoreError: if it exists and cannot be read.
        """
        try:
            if not self.exists(path):
                return False
            self._fs.get_file(f"{self._root}/{path}", str(to))
        except OSError as error:
            raise StoreError(f"store {self.url}: {path} cannot be read: {_reason(error)}") from None
        return True

    def remove(self, path: str) -> None:
        """Remove a small file, if it exists."""
        if self.exists(path):
            self._fs.rm_file(f"{self._root}/{path}")

    def exists(self, path: str) -> bool:
        """Whether a file is in the store."""
        return bool(self._fs.exists(f"{self._root}/{path}"))

    def list_json(self, folder: str) -> list[str]:
        """Return the names of the JSON files in a folder, sorted; empty if there is no such folder."""
        path = f"{self._root}/{folder}"
        if not self._fs.exists(path):
            return []
        names = (str(entry).rsplit("/", 1)[-1] for entry in self._fs.ls(path, detail=False))
        return sorted(name for name in names if name.endswith(".json"))

    @staticmethod
    def _rename(source: Path, target: Path) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            source.rename(target)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
            if not (target / COMMIT).exists():  # half deleted, or half copied here: not an artifact
                shutil.rmtree(target)
                source.rename(target)
            else:
                shutil.rmtree(source, ignore_errors=True)  # another process was first


def _is_abandoned(scratch: Path) -> bool:
    """Whether the process that made a scratch folder has ended."""
    here = f"{socket.gethostname()}-"
    owner = scratch.name.removeprefix(here).partition("-")[0]
    if scratch.name.startswith(here) and owner.isdigit():
        try:
            os.kill(int(owner), 0)
        except ProcessLookupError:
            return True
        except OSError:
            pass  # another user's process: it runs
        return False
    try:
        return time.time() - scratch.stat().st_mtime > ABANDONED_AFTER
    except OSError:  # its owner is just removing it
        return False


def _reason(error: BaseException) -> str:
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return "no space left on its disk"
    text = (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
    return text.splitlines()[0]
