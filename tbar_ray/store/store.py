"""The artifact store: content-addressed, on any fsspec URL, written atomically.

    STORE/artifacts/<kind>-<fingerprint>/…            what a stage wrote
    STORE/artifacts/<kind>-<fingerprint>/artifact.json  the commit: written last, names every file
    STORE/checkpoints/<kind>-<fingerprint>.pt         a training that has not ended
    STORE/campaigns/<name>/<fingerprint>/…            a campaign's spec and its trials

An artifact without its commit does not exist: a killed stage leaves nothing that could be half read. A commit holds
the size and the SHA-256 of every file: what is not as it was committed counts as absent, and is computed again.
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
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import fsspec

from tbar_ray.data.places import resolve
from tbar_ray.errors import BrokenArtifactError, StoreError
from tbar_ray.store.commit import COMMIT, CommittedFile, commit_of, committed_files, described, sha256
from tbar_ray.store.reached import Reached, first_line
from tbar_ray.store.temporary import temporary_folder

SMALL = 1_000_000
"""Bytes up to which a file is hashed when an artifact is looked at; a larger one is when it is first read."""
ABANDONED_AFTER = 7 * 24 * 3600.0
"""Seconds after which scratch of another machine counts as left behind: its processes cannot be asked."""
UNWRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)
PROBE = 1 << 20
"""Bytes that are written to learn whether there is room."""
SETTLED = 1.0
"""Seconds after which an object store is asked who wrote last, where several want to create one file."""


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
        self.url = resolve(url)
        try:
            system, self._root = fsspec.core.url_to_fs(self.url)
        except (ImportError, ValueError) as error:
            raise StoreError(f"store {url}: {error}; install tbar-ray[s3] or tbar-ray[gcs]") from None
        self._fs = Reached(system, self.url)
        self.fetched: dict[str, int] = {}
        self._verified: set[tuple[str, int, int]] = set()
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
        except OSError as error:
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
        """Return where an artifact's files are, as a URL that any fsspec reader opens.

        Raises:
            BrokenArtifactError: if the store is a folder, and they are not what was committed.
        """
        path = f"{self._root}/artifacts/{name}"
        if self.is_local:
            if self._fs.exists(f"{path}/{COMMIT}"):
                self._verify(name, Path(path))
            return path
        return str(self._fs.unstrip_protocol(path))

    def has(self, name: str) -> bool:
        """Whether an artifact is committed, and its files have the sizes that they had then."""
        return self._fs.exists(f"{self._root}/artifacts/{name}/{COMMIT}") and self.problem(name) is None

    def problem(self, name: str) -> str | None:
        """Return what is wrong with an artifact by its commit and the sizes of its files; None if nothing is."""
        path = f"{self._root}/artifacts/{name}"
        try:
            files = committed_files(self._fs.cat_file(f"{path}/{COMMIT}"))
            sizes = self._sizes(path)
        except FileNotFoundError:
            return f"{COMMIT} is missing"
        except (OSError, ValueError) as error:
            return _reason(error)
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
            self._verify(name, Path(f"{self._root}/artifacts/{name}"), small)
        except BrokenArtifactError:
            return False
        return True

    def commit(self, name: str, folder: Path, facts: Mapping[str, Any]) -> None:
        """Publish the files of `folder` as an artifact, and `facts` about them; the folder is consumed.

        If another process committed the same artifact first, that one stays (the content is the same).

        Raises:
            StoreError: if the store cannot be written, or its disk is full.
        """
        target = f"{self._root}/artifacts/{name}"
        try:
            files = described(folder)
            commit = commit_of(name, facts, files)
            if self.is_local:
                (folder / COMMIT).write_text(commit)
                for file in files:
                    _share(folder / file, folder)
                self._rename(folder, Path(target), name)
            else:
                for file in files:
                    self._fs.put_file(str(folder / file), f"{target}/{file}")
                self._fs.pipe_file(f"{target}/{COMMIT}", commit.encode())
        except OSError as error:
            raise StoreError(f"store {self.url}: {name} cannot be written: {_reason(error)}") from None

    def discard(self, name: str) -> None:
        """Remove an artifact, its commit first.

        Raises:
            StoreError: if the store cannot be written.
        """
        target = f"{self._root}/artifacts/{name}"
        try:
            if self._fs.exists(f"{target}/{COMMIT}"):
                self._fs.rm_file(f"{target}/{COMMIT}")
            if self._fs.exists(target):
                self._fs.rm(target, recursive=True)
        except FileNotFoundError:
            pass  # another process was first
        except OSError as error:
            raise StoreError(f"store {self.url}: {name} cannot be removed: {_reason(error)}") from None
        shutil.rmtree(self._copy(name), ignore_errors=True)

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

    def scratch(self) -> Path:
        """Return a new temporary folder, on the store's own disk where it is local (so that renaming works)."""
        if not self.is_local:
            return temporary_folder("stage")
        parent = Path(self._root) / "tmp"
        try:
            folder = parent / f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
            folder.mkdir(parents=True)  # not mkdtemp, whose folders are closed to everyone else
            return folder
        except OSError as error:
            raise StoreError(f"store {self.url} cannot be written: {_reason(error)}") from None

    def check_room(self, scratch: Path, error: BaseException) -> None:
        """Find out whether a folder of `scratch` could not be written, and that is what an error means.

        Raises:
            StoreError: one line, if it cannot be written any more.
        """
        cause = error if isinstance(error, OSError) and error.errno in UNWRITABLE else None
        probe = scratch / f".probe-{uuid.uuid4().hex}"
        try:
            probe.write_bytes(bytes(PROBE))
        except OSError as failure:
            cause = failure
        finally:
            with suppress(OSError):
                probe.unlink(missing_ok=True)
        if cause is not None:
            where = f"store {self.url}" if self.is_local else f"temporary folder {scratch.parent}"
            raise StoreError(
                f"{where}: cannot be written any more: {_reason(cause)}; make room, or choose another, and run "
                f"the same command again"
            ) from None

    def remove_abandoned_scratch(self) -> int:
        """Remove the folders under `tmp` of processes that have ended; return how many."""
        parent = Path(self._root) / "tmp"
        if not self.is_local or not parent.is_dir():
            return 0
        abandoned = [folder for folder in parent.iterdir() if _is_abandoned(folder)]
        for folder in abandoned:
            shutil.rmtree(folder, ignore_errors=True)
        return len(abandoned)

    def fetch(self, name: str, *files: str) -> Path:
        """Return a local folder with an artifact's files (downloaded once per machine if the store is remote).

        Args:
            name: the artifact.
            files: those that will be read; all of them, unless some are named. Each is hashed when a process asks for
                it first.

        Raises:
            BrokenArtifactError: if the artifact is not committed, or its files are not what was committed.
            StoreError: if the store cannot be read.
        """
        path = f"{self._root}/artifacts/{name}"
        if not self._fs.exists(f"{path}/{COMMIT}"):
            raise BrokenArtifactError(f"store {self.url} has no artifact {name}", name)
        folder = Path(path) if self.is_local else self._download(name)
        self._verify(name, folder, files or None)
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
        self._verified.clear()
        if not self.is_local:
            shutil.rmtree(self._copy(name), ignore_errors=True)
        kept = [file for file, entry in self._files(name).items() if whole or not entry.dropped]
        try:
            self._verify(name, Path(f"{self._root}/artifacts/{name}") if self.is_local else self._download(name), kept)
        except BrokenArtifactError as error:
            return error.why
        return None

    def _verify(self, name: str, folder: Path, names: Sequence[str] | None = None) -> None:
        """Compare files with the commit: sizes always, hashes once in a process."""
        try:
            files = committed_files((folder / COMMIT).read_bytes())
        except (OSError, ValueError) as error:
            raise self._broken(name, _reason(error)) from None
        for file in files if names is None else names:
            if (entry := files.get(file)) is None:
                continue  # an optional file, which this artifact lacks
            if entry.dropped:
                raise self._broken(name, f"{file} was dropped by `tbar store gc`")
            path = folder / file
            try:
                status = path.stat()
                key = (str(path), status.st_size, status.st_mtime_ns)
                if status.st_size != entry.size:
                    raise self._broken(name, f"{file} has {status.st_size} bytes of {entry.size}")
                if key not in self._verified and entry.sha256 is not None and sha256(path) != entry.sha256:
                    raise self._broken(name, f"{file} has other bytes than were committed")
            except FileNotFoundError:
                raise self._broken(name, f"{file} is missing") from None
            except OSError as error:
                raise StoreError(f"store {self.url}: {name} cannot be read: {_reason(error)}") from None
            self._verified.add(key)

    def _broken(self, name: str, why: str) -> BrokenArtifactError:
        return BrokenArtifactError(f"store {self.url}: {name} is broken: {why}; run the campaign again", name, why)

    def _files(self, name: str) -> dict[str, CommittedFile]:
        try:
            return committed_files(self._fs.cat_file(f"{self._root}/artifacts/{name}/{COMMIT}"))
        except (OSError, ValueError) as error:
            raise self._broken(name, _reason(error)) from None

    def _sizes(self, path: str) -> dict[str, int]:
        """Return the bytes of the files under a folder of the store, by their paths in it."""
        found = self._fs.find(path, detail=True)
        start = len(self._fs._strip_protocol(path).rstrip("/")) + 1
        return {self._fs._strip_protocol(entry)[start:]: int(facts["size"]) for entry, facts in found.items()}

    def _copy(self, name: str) -> Path:
        """Return where an artifact of a remote store is kept on this machine."""
        return Path(tempfile.gettempdir()) / f"tbar-artifacts-{os.getuid()}" / name

    def _download(self, name: str) -> Path:
        local = self._copy(name)
        if (local / COMMIT).exists():
            try:
                self._verify(name, local)
            except BrokenArtifactError:  # this copy is, not the artifact
                shutil.rmtree(local, ignore_errors=True)
        if not (local / COMMIT).exists():
            part = local.with_name(f"{name}.{uuid.uuid4().hex}")
            try:
                self._fs.get(f"{self._root}/artifacts/{name}/", str(part) + "/", recursive=True)
                self._rename(part, local, None)
            except OSError as error:
                raise StoreError(f"store {self.url}: {name} cannot be read: {_reason(error)}") from None
        return local

    def facts(self, name: str) -> dict[str, Any]:
        """Return the facts that were given when an artifact was committed."""
        facts: dict[str, Any] = self.read_json(f"artifacts/{name}/{COMMIT}")
        return facts

    def artifacts(self) -> list[str]:
        """Return the names of all committed artifacts."""
        return [name for name in self.list_folder("artifacts") if self.has(name)]

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
            _link(part, Path(target))
        except FileExistsError:
            return False
        except OSError as error:
            raise StoreError(f"store {self.url}: {path} cannot be written: {_reason(error)}") from None
        finally:
            part.unlink(missing_ok=True)
        return True

    def read_json(self, path: str) -> Any:
        """Read a JSON file.

        Raises:
            StoreError: if it is missing or broken.
        """
        try:
            return json.loads(self.read_bytes(path))
        except ValueError as error:
            raise StoreError(f"store {self.url}: {path} cannot be read: {_reason(error)}") from None

    def read_bytes(self, path: str) -> bytes:
        """Read a small file.

        Raises:
            StoreError: if it is missing or cannot be read.
        """
        try:
            return bytes(self._fs.cat_file(f"{self._root}/{path}"))
        except OSError as error:
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
                _share(file, file.parent)
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

    def size(self, path: str) -> int:
        """Return the bytes of a file, or of all files under a folder; 0 if there is none."""
        target = f"{self._root}/{path}"
        return sum(int(facts["size"]) for facts in self._fs.find(target, detail=True).values())

    def list_folder(self, folder: str) -> list[str]:
        """Return the names of what is in a folder, sorted; empty if there is no such folder."""
        path = f"{self._root}/{folder}"
        if not self._fs.exists(path):
            return []
        return sorted(str(entry).rstrip("/").rsplit("/", 1)[-1] for entry in self._fs.ls(path, detail=False))

    def list_json(self, folder: str) -> list[str]:
        """Return the names of the JSON files in a folder, sorted; empty if there is no such folder."""
        return [name for name in self.list_folder(folder) if name.endswith(".json")]

    def _rename(self, source: Path, target: Path, name: str | None) -> None:
        """Give a folder its place; where there is a sound artifact `name` (of a copy: any), that stays."""
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            source.rename(target)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
            if (target / COMMIT).exists() and (name is None or self.problem(name) is None):
                shutil.rmtree(source, ignore_errors=True)  # another process was first
            else:  # half deleted, half copied or broken: not an artifact
                shutil.rmtree(target)
                source.rename(target)


def _link(part: Path, target: Path) -> None:
    """Give a file its name, unlike a renaming only where there is none.

    Raises:
        FileExistsError: if there is one.
    """
    try:
        os.link(part, target)
    except FileExistsError:
        raise
    except OSError:  # a file system without links
        with target.open("xb") as file:
            file.write(part.read_bytes())


def _share(file: Path, folder: Path) -> None:
    """Let those read a file who may read its new folder, as the umask says: some libraries write 0600."""
    file.chmod(folder.stat().st_mode & 0o666)


def _is_abandoned(scratch: Path) -> bool:
    """Whether the process that made a scratch folder has ended."""
    host, _, owner = scratch.name.rpartition("-")[0].rpartition("-")  # of HOST-PROCESS-…: a host's name may have dashes
    if host == socket.gethostname() and owner.isdigit():
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
    return first_line(error)
