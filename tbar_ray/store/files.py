"""Files at any fsspec URL, each written as a whole: who reads one finds the old content or the new, never a half."""

from __future__ import annotations

import json
import shutil
import time
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Any

import fsspec

from tbar_ray.data.places import is_remote, resolve, unset
from tbar_ray.errors import StoreError
from tbar_ray.store.placing import link, share
from tbar_ray.store.reached import Reached, reason

SETTLED = 1.0
"""Seconds after which an object store is asked who wrote last, where several want to create one file."""


class StoreFiles:
    """Small files at a URL, by their paths under it.

    Args:
        url: a local path or any fsspec URL (s3://…, gs://…).

    Attributes:
        url: it, with what stands for a folder in it filled in.
        is_local: whether it is a folder that this machine sees.

    Raises:
        StoreError: if the URL's library is missing.
    """

    def __init__(self, url: str) -> None:
        self.url = resolve(url)
        if not is_remote(self.url) and (missing := unset(self.url)):
            raise StoreError(f"store {url}: no such folder{missing}")
        try:
            # other processes write here too: a listing that is remembered would not have what came since
            system, self._root = fsspec.core.url_to_fs(self.url, use_listings_cache=False)
        except (ImportError, ValueError) as error:
            raise StoreError(f"store {url}: {error}; install tbar-ray[s3] or tbar-ray[gcs]") from None
        self._fs = Reached(system, self.url)
        self.is_local = "file" in ([self._fs.protocol] if isinstance(self._fs.protocol, str) else self._fs.protocol)

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
        except OSError as error:
            raise StoreError(
                f"store {self.url} cannot be written: {reason(error)}; choose another with --store"
            ) from None
        if self.is_local:
            free = shutil.disk_usage(self._root).free / 1e9
            if free < min_free_gb:
                raise StoreError(
                    f"store {self.url}: no free disk: {free:.1f} GB left, {min_free_gb:g} GB wanted; "
                    f"free some or choose another with --store"
                )

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
                try:
                    part.write_bytes(text)
                    part.replace(target)
                except OSError:
                    _remove(part)
                    raise
            else:
                self._fs.pipe_file(target, text)  # object stores replace whole objects
        except OSError as error:
            raise StoreError(f"store {self.url}: {path} cannot be written: {reason(error)}") from None

    def create_json(self, path: str, content: Any) -> bool:
        """Write a small JSON file unless there is one; whether it was written.

        Of several that try at once one succeeds; on object stores, which cannot promise that, the last one does.

        Raises:
            StoreError: if the store cannot be written.
        """
        text = json.dumps(content, indent=1, sort_keys=True).encode()
        target = f"{self._root}/{path}"
        if self.exists(path):
            return False
        if not self.is_local:
            self.write_json(path, content)
            time.sleep(SETTLED)
            return bool(self.exists(path) and self.read_json(path) == json.loads(text))
        part = Path(f"{target}.{uuid.uuid4().hex}")
        try:
            part.parent.mkdir(parents=True, exist_ok=True)
            part.write_bytes(text)
            link(part, Path(target))
        except FileExistsError:
            return False
        except OSError as error:
            raise StoreError(f"store {self.url}: {path} cannot be written: {reason(error)}") from None
        finally:
            _remove(part)
        return True

    def read_json(self, path: str) -> Any:
        """Read a JSON file.

        Raises:
            StoreError: if it is missing or broken.
        """
        try:
            return json.loads(self.read_bytes(path))
        except ValueError as error:
            raise StoreError(f"store {self.url}: {path} cannot be read: {reason(error)}") from None

    def read_bytes(self, path: str) -> bytes:
        """Read a small file.

        Raises:
            StoreError: if it is missing or cannot be read.
        """
        try:
            return bytes(self._fs.cat_file(f"{self._root}/{path}"))
        except OSError as error:
            raise StoreError(f"store {self.url}: {path} cannot be read: {reason(error)}") from None

    def write_file(self, file: Path, path: str) -> None:
        """Move a local file into the store, atomically, replacing an earlier one.

        Raises:
            StoreError: if the store cannot be written.
        """
        target = f"{self._root}/{path}"
        try:
            self._fs.makedirs(target.rsplit("/", 1)[0], exist_ok=True)
            if self.is_local:
                share(file, file.parent)
                file.replace(target)
            else:
                self._fs.put_file(str(file), target)
                file.unlink()
        except OSError as error:
            raise StoreError(f"store {self.url}: {path} cannot be written: {reason(error)}") from None

    def read_file(self, path: str, to: Path) -> bool:
        """Copy a file of the store to a local path; whether the store has it.

        Raises:
            StoreError: if it exists and cannot be read.
        """
        try:
            if not self.exists(path):
                return False
            self._fs.get_file(f"{self._root}/{path}", str(to))
        except OSError as error:
            raise StoreError(f"store {self.url}: {path} cannot be read: {reason(error)}") from None
        return True

    def remove(self, path: str) -> None:
        """Remove a small file, if it exists.

        Raises:
            StoreError: if the store cannot be written.
        """
        try:
            if self.exists(path):
                self._fs.rm_file(f"{self._root}/{path}")
        except FileNotFoundError:
            pass  # another process was first
        except OSError as error:
            raise StoreError(f"store {self.url}: {path} cannot be removed: {reason(error)}") from None

    def exists(self, path: str) -> bool:
        """Whether a file is in the store."""
        return bool(self._fs.exists(f"{self._root}/{path}"))

    def size(self, path: str) -> int:
        """Bytes of a file, or of all files under a folder together; 0 if there is none."""
        target = f"{self._root}/{path}"
        return sum(int(facts["size"]) for facts in self._fs.find(target, detail=True).values())

    def list_folder(self, folder: str) -> list[str]:
        """Names of the files and folders directly in a folder, sorted; none if there is no such folder."""
        path = f"{self._root}/{folder}"
        if not self._fs.exists(path):
            return []
        return sorted(str(entry).rstrip("/").rsplit("/", 1)[-1] for entry in self._fs.ls(path, detail=False))

    def list_json(self, folder: str) -> list[str]:
        """Names of the JSON files directly in a folder, sorted; none if there is no such folder."""
        return [name for name in self.list_folder(folder) if name.endswith(".json")]


def _remove(part: Path) -> None:
    """Remove a file that was not finished, if it is there; a read-only disk says neither."""
    with suppress(OSError):
        part.unlink()
