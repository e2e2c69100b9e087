"""A folder of image files as samples: captions and metadata are files beside the images, classes are subfolders."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from tbar_ray.data.members import parse_caption, parse_metadata
from tbar_ray.errors import DataError

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff"})


class FolderSamples:
    """The images under a folder, in the order of their paths; `Samples`.

    A key is an image's path under the folder. `NAME.txt` beside `NAME.jpg` is its caption, `NAME.json` its metadata.
    Its label is the metadata's "label", else the name of the subfolder, directly under the folder, that holds it.

    Args:
        folder: looked through with its subfolders; hidden files and folders are skipped.
        classes: class names that subfolders are taken for, see `class_of_subfolder`; a subfolder that is none of them
            keeps its own name.

    Raises:
        DataError: if there is no image.
    """

    def __init__(self, folder: Path, classes: Sequence[str] = ()) -> None:
        self.folder, self._classes = folder, tuple(classes)
        found = (path.relative_to(folder) for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
        self.keys = tuple(sorted(path.as_posix() for path in found if not any(p.startswith(".") for p in path.parts)))
        if not self.keys:
            raise DataError(f"no image under {folder}; known are {', '.join(sorted(SUFFIXES))}")

    def __len__(self) -> int:
        return len(self.keys)

    def image_bytes(self, i: int) -> bytes:
        """Bytes of the file of image `i`, as they are.

        Raises:
            DataError: if it cannot be read.
        """
        try:
            return (self.folder / self.keys[i]).read_bytes()
        except OSError as error:
            raise DataError(f"cannot read {self.folder / self.keys[i]}: {error.strerror or error}") from None

    def caption(self, i: int) -> str | None:
        """Caption of image `i`, from the .txt, else from the metadata; None if absent or blank."""
        return parse_caption(self._beside(i, ".txt"), self._beside(i, ".json"))

    def metadata(self, i: int) -> Mapping[str, Any]:
        """The .json beside image `i`; empty if there is none.

        Raises:
            DataError: if it is not a JSON object.
        """
        raw = self._beside(i, ".json")
        if raw is None:
            return {}
        if (parsed := parse_metadata(raw)) is None:
            raise DataError(f"{(self.folder / self.keys[i]).with_suffix('.json')} is not a JSON object")
        return parsed

    def label(self, i: int) -> str | None:
        """Class name of image `i`: `label` of its metadata, else its subfolder as a class; None if it has neither."""
        value = self.metadata(i).get("label")
        if value is not None:
            return str(value)
        subfolder = self.subfolder(i)
        return None if subfolder is None else class_of_subfolder(subfolder, self._classes) or subfolder

    def class_index(self, i: int) -> int | None:  # noqa: ARG002 - subfolders have names, not numbers
        """Always None: a folder numbers no classes."""
        return None

    def subfolder(self, i: int) -> str | None:
        """The first folder on the way to image `i`; None if it is in the folder itself."""
        first, slash, _ = self.keys[i].partition("/")
        return first if slash else None

    def of_classes(self, classes: Sequence[str]) -> FolderSamples:
        """The same images, with subfolders taken for these classes where they are named after them."""
        other = copy.copy(self)
        other._classes = tuple(classes)
        return other

    def index_of(self, key: str) -> int:
        """Position of a key, from 0.

        Raises:
            DataError: if no image has it.
        """
        if key not in self._rows:
            raise DataError(f"no image {key!r} under {self.folder}")
        return self._rows[key]

    @cached_property
    def _rows(self) -> dict[str, int]:
        return {key: row for row, key in enumerate(self.keys)}

    def _beside(self, i: int, suffix: str) -> bytes | None:
        return read_beside(self.folder / self.keys[i], suffix)


def read_beside(image: Path, suffix: str) -> bytes | None:
    """Content of the file of another suffix beside an image; None if there is none."""
    path = image.with_suffix(suffix)
    return path.read_bytes() if path.is_file() else None


def class_of_subfolder(subfolder: str, classes: Sequence[str]) -> str | None:
    """The class that a subfolder is named after, also with `_` for a space; None if none is."""
    return next((name for name in (subfolder, subfolder.replace("_", " ")) if name in classes), None)
