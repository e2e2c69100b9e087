"""The commit of an artifact: what its files must be, byte for byte."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

COMMIT = "artifact.json"
"""Written last; an artifact without it does not exist."""


@dataclass(frozen=True)
class CommittedFile:
    """A file of an artifact.

    Attributes:
        size: bytes.
        sha256: 64 hex digits; None in commits that older versions wrote.
        dropped: whether the file was removed on purpose, to save room; the rest of the artifact stands.
    """

    size: int
    sha256: str | None = None
    dropped: bool = False

    def to_dict(self) -> dict[str, Any]:
        """The file as a commit lists it; `dropped` only where it is so."""
        return {"size": self.size, "sha256": self.sha256} | ({"dropped": True} if self.dropped else {})

    @classmethod
    def from_dict(cls, entry: Any) -> CommittedFile:
        """Read an entry; one of an older version is a size alone.

        Raises:
            TypeError, ValueError: if it is neither.
        """
        if isinstance(entry, int):
            return cls(entry)
        found = cls(**entry)
        if not isinstance(found.size, int) or not isinstance(found.sha256, str | None):
            raise TypeError("an entry of files is broken")
        return found


def committed_files(content: bytes) -> dict[str, CommittedFile]:
    """Files that a commit names, by their paths in the artifact.

    Raises:
        ValueError: one line, if it is no commit.
    """
    try:
        commit = json.loads(content)
        return {str(name): CommittedFile.from_dict(entry) for name, entry in commit["files"].items()}
    except (AttributeError, KeyError, TypeError, ValueError):
        raise ValueError(f"{COMMIT} is broken") from None


def described(folder: Path) -> dict[str, CommittedFile]:
    """Files under a folder by their relative paths, with sizes and hashes."""
    files = (file for file in sorted(folder.rglob("*")) if file.is_file())
    return {str(file.relative_to(folder)): CommittedFile(file.stat().st_size, sha256(file)) for file in files}


def commit_of(name: str, facts: Mapping[str, Any], files: Mapping[str, CommittedFile]) -> str:
    """Text of a commit: JSON of the name, the facts and every file, with sorted keys."""
    listed = {file: entry.to_dict() for file, entry in files.items()}
    return json.dumps({"name": name, **facts, "files": listed}, indent=1, sort_keys=True)


def sha256(file: Path) -> str:
    """SHA-256 of a file, 64 hex digits."""
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
