"""The tar index: the position of each member of each sample in a WebDataset shard.

Only the 512-byte headers are read, so indexing is much faster than reading. Of a damaged shard, the index covers
what is still readable and lists what was lost.
"""

from __future__ import annotations

import mmap
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from zlib import adler32

import numpy as np
from numpy.typing import NDArray

from tbar_ray.errors import DataError
from tbar_ray.foreign import foreign
from tbar_ray.redaction import redact

BLOCK = 512
KNOWN_EXTENSIONS = frozenset({"jpg", "jpeg", "png", "webp", "txt", "json", "cls"})
MAX_EXTENSIONS = 64  # each costs 16 bytes per sample; keys with dots would create thousands

DUPLICATE = "duplicate key"  # prefix of the reason of such a problem

_ZEROS = bytes(BLOCK)
_WITHOUT_DATA = frozenset(b"123456")  # links, devices, directories, pipes: no data follow the header
_LINKS = frozenset(b"12")
_ADLER = 65521
_ALSO = (
    (b"PK\x03\x04", "a zip archive: unpack it, and pack it with `tar --sort=name`"),
    (b"<", "a web page or an XML answer: the download failed"),
)
"""First bytes of what is no tar either, and in other places no mistake."""
_LONGEST_PADDING = 1 << 20  # tar pads an archive to its blocking factor, 10 KiB by default


@dataclass(frozen=True)
class ShardProblem:
    """Something lost or ambiguous: shard (without secrets), sample (None if not tied to one sample) and reason.

    `lossless` tells that all was read here, and only other readers would lose something.
    """

    shard: str
    key: str | None
    reason: str
    lossless: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "shard", redact(self.shard))

    def __str__(self) -> str:
        return ": ".join(part for part in (self.shard, self.key, self.reason) if part is not None)


@dataclass(frozen=True)
class ShardIndex:
    """One shard's samples in tar order, stored by column.

    Attributes:
        url: The shard's name, as given.
        keys: The n samples' keys, unique within the shard.
        spans: Extension -> int64 [n, 2] of (offset, size) in bytes; (-1, -1) where a sample lacks it.
        problems: What could not be read or was dropped.
    """

    url: str
    keys: tuple[str, ...]
    spans: Mapping[str, NDArray[np.int64]]
    problems: tuple[ShardProblem, ...]


Report = Callable[[str | None, str], None]


def index_shard(path: Path, url: str | None = None) -> ShardIndex:
    """Index one tar file; damage is reported in the result, not raised.

    Args:
        path: The local file.
        url: The name used in reports; default the path.

    Raises:
        DataError: The file does not exist or cannot be opened.
    """
    name = str(path) if url is None else url
    columns = _Columns(name)
    try:
        with path.open("rb") as file:
            if path.stat().st_size == 0:
                columns.report(None, "empty file")
                return columns.finish()
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as view:
                for member, offset, size in walk_members(view, columns.report):
                    columns.add(member, offset, size)
    except OSError as error:
        raise DataError(f"cannot read shard {name}: {error.strerror or error}") from error
    return columns.finish()


def split_name(name: str) -> tuple[str, str] | None:
    """Split a member's name by WebDataset's rule into (key, lower-case extension); None if it has no extension."""
    folder, slash, base = name.rpartition("/")
    stem, dot, extension = base.partition(".")
    if not dot or not stem or not extension:
        return None
    return folder + slash + stem, extension.lower()


def told_by(view: mmap.mmap | bytes) -> str:
    """What a message adds of a file that is no tar: what it is by its first bytes; '' where these tell nothing."""
    start = bytes(view[:64])
    what = foreign(start) or next((what for mark, what in _ALSO if start.lstrip().startswith(mark)), None)
    return "" if what is None else f" ({what})"


def walk_members(view: mmap.mmap, report: Report) -> Iterator[tuple[str, int, int]]:
    """Yield (name, data offset, data size) of each regular member; losses are passed to `report`."""
    end, position = len(view), 0
    long_name: str | None = None
    extended: dict[str, str] = {}
    shared: dict[str, str] = {}  # PAX global records apply to every later member
    while True:
        header = view[position : position + BLOCK]
        if len(header) < BLOCK:
            hint = told_by(view) if position == 0 else ""
            report(None, f"truncated in a header{hint}" if header else "truncated: no end-of-archive marker")
            return
        if header == _ZEROS:
            following = _next_header(view, position + BLOCK)
            if following is None:
                if end - position > _LONGEST_PADDING:  # a download that reserved space and then stopped
                    report(None, f"{end - position} bytes without members at the end: not fully downloaded?")
                return
            report(None, f"{following - position} bytes without members at byte {position}")
            position = following
            continue
        size = _checked_size(header)
        if size is None:
            following = _next_header(view, position + BLOCK)
            hint = told_by(view) if position == 0 else ""
            lost = (end if following is None else following) - position
            report(None, f"bad tar header at byte {position}, {lost} bytes lost{hint}")
            if following is None:
                return
            position, long_name, extended = following, None, {}
            continue
        kind, start = header[156], position + BLOCK
        if kind in _WITHOUT_DATA:
            split = split_name(extended.get("path") or long_name or shared.get("path") or _name(header))
            if kind in _LINKS and split is not None and split[1] in KNOWN_EXTENSIONS:
                report(
                    split[0], f"its .{split[1]} is a link: pack the shard with `tar --dereference --hard-dereference`"
                )
            position, long_name, extended = start, None, {}
            continue
        if (shared or extended) and kind not in b"xgLKX":
            size = int(extended.get("size", shared.get("size", size)))
        position = start + (size + BLOCK - 1) // BLOCK * BLOCK
        cut = start + size > end
        if kind in b"LxgXK":
            if cut:
                report(None, "truncated in a long name")
                return
            if kind == ord("L"):
                long_name = _text(view[start : start + size])
            elif kind != ord("K"):  # K is the long target of a link, which a shard does not need
                records = _pax_records(view[start : start + size])
                if records is None:
                    report(None, f"bad PAX record at byte {start}")
                elif kind == ord("g"):
                    shared.update(records)
                else:
                    extended.update(records)
            continue
        name = extended.get("path") or long_name or shared.get("path") or _name(header)
        sparse = kind == ord("S") or "GNU.sparse.major" in extended or "GNU.sparse.size" in extended
        long_name, extended = None, {}
        if cut:
            split = split_name(name)
            missing = start + size - end
            report(split[0] if split else None, f"truncated: {name} lacks its last {missing} bytes")
            return
        if sparse:
            report(None, f"sparse member {name} skipped")
        elif kind in b"0\x007" and not (kind == 0 and name.endswith("/")):
            yield name, start, size


@dataclass
class _Columns:
    """Groups members into samples by key and turns them into arrays."""

    url: str
    rows: dict[str, int] = field(default_factory=dict)
    problems: list[ShardProblem] = field(default_factory=list)
    members: dict[str, dict[int, tuple[int, int]]] = field(default_factory=dict)
    """Extension -> row -> (offset, size)."""
    current: str | None = None
    row: int = -1
    dropping: bool = False
    returned: bool = False
    """Whether the current key was there before, with others between."""
    crowded: bool = False
    scattered: list[str] = field(default_factory=list)
    """Members that are not beside the others of their sample."""

    def report(self, key: str | None, reason: str, *, lossless: bool = False) -> None:
        self.problems.append(ShardProblem(self.url, key, reason, lossless))

    def add(self, name: str, offset: int, size: int) -> None:
        split = split_name(name)
        if split is None:
            return  # WebDataset's readers also skip such members
        key, extension = split
        if key != self.current:
            self.current, self.dropping = key, False
            known = self.rows.get(key)
            self.returned = known is not None
            self.row = len(self.rows) if known is None else known
            self.rows[key] = self.row
            if self.returned and self.row in self.members.get(extension, ()):
                self.report(key, f"{DUPLICATE} in the shard: the later sample is dropped")
                self.dropping = True
        if self.dropping:
            return
        column = self.members.get(extension)
        if column is None:
            if extension not in KNOWN_EXTENSIONS and len(self.members) >= MAX_EXTENSIONS:
                if not self.crowded:
                    self.report(key, f"more than {MAX_EXTENSIONS} extensions (dots in keys?), others ignored")
                self.crowded = True
                return
            column = self.members[extension] = {}
        if self.row in column:
            self.report(key, f"{DUPLICATE} in the shard: a second .{extension} is dropped")
            return
        column[self.row] = offset, size
        if self.returned:
            self.scattered.append(name)

    def finish(self) -> ShardIndex:
        if self.scattered:
            self.report(
                None,
                f"{len(self.scattered)} members not beside the others of their sample (first: {self.scattered[0]}): "
                f"joined here, but lost to other readers of WebDataset; pack the shard anew with `tar --sort=name`",
                lossless=True,
            )
        spans: dict[str, NDArray[np.int64]] = {}
        for extension, column in self.members.items():
            span = np.full((len(self.rows), 2), -1, dtype=np.int64)
            span[list(column)] = list(column.values())
            spans[extension] = span
        return ShardIndex(self.url, tuple(self.rows), spans, tuple(self.problems))


def _checked_size(header: bytes) -> int | None:
    """Size field of a header, or None if its checksum or a number in it is invalid."""
    try:
        stored = int(header[148:156].split(b"\0", 1)[0], 8)
        # Adler-32's low half is 1 + the byte sum modulo 65521: a fast way to compute the checksum
        total = (adler32(header) & 0xFFFF) - 1 - sum(header[148:156]) + 256
        if (total - stored) % _ADLER:
            signed = sum(byte - 256 if byte > 127 else byte for byte in header[:148] + header[156:]) + 256
            if signed != stored:  # some old tar versions summed signed bytes
                return None
        if header[124] & 0x80:  # base-256 encoding, for 8 GiB and more
            size = int.from_bytes(header[125:136], "big")
            return None if header[124] != 0x80 else size
        size = int(header[124:136].split(b"\0", 1)[0].strip() or b"0", 8)
    except ValueError:
        return None
    return size if size >= 0 else None


def _next_header(view: mmap.mmap, start: int) -> int | None:
    """First position from `start` on, in 512-byte steps, of a header with magic and valid checksum."""
    found = view.find(b"ustar", start + 257)
    while found >= 0:
        position = found - 257
        if position % BLOCK == 0:
            header = view[position : position + BLOCK]
            if len(header) == BLOCK and _checked_size(header) is not None:
                return position
        found = view.find(b"ustar", found + 1)
    return None


def _name(header: bytes) -> str:
    name = _text(header[:100])
    if header[345] and header[257:263] == b"ustar\0":  # GNU tar uses the prefix field for other data
        return f"{_text(header[345:500])}/{name}"
    return name


def _text(raw: bytes) -> str:
    # unlike surrogates the result is printable, and unlike replacement characters it is unique
    return raw.split(b"\0", 1)[0].decode("utf-8", "backslashreplace")


def _pax_records(data: bytes) -> dict[str, str] | None:
    """Parse records of the form `length key=value` plus newline; None if they are malformed."""
    records: dict[str, str] = {}
    while data and data[0]:
        digits, _, _ = data.partition(b" ")
        if not digits.isdigit() or not len(digits) + 2 < int(digits) <= len(data):
            return None
        key, equals, value = data[len(digits) + 1 : int(digits) - 1].partition(b"=")
        if not equals:
            return None
        if key == b"size" and not value.isdigit():
            return None
        records[key.decode("utf-8", "backslashreplace")] = value.decode("utf-8", "backslashreplace")
        data = data[int(digits) :]
    return records
