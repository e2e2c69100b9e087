"""What img2dataset has downloaded: is every shard whole, and what became of the images that were asked for?"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from tbar_ray.data.places import is_folder
from tbar_ray.data.shards import index_shard
from tbar_ray.errors import DataError

STATISTICS = "_stats.json"
AGAIN = "run the same img2dataset command again; it goes on with what is missing"


class DownloadReport(BaseModel):
    """What a folder of img2dataset's output holds.

    Attributes:
        shards: number of tars.
        samples: samples in them.
        asked: images that were to be downloaded, by the statistics; None if there are none.
        statuses: what became of them, by img2dataset's words, the most frequent first.
        problems: shards that are missing, cut, under way, or hold something else than their statistics say.
    """

    model_config = ConfigDict(frozen=True)

    shards: int
    samples: int
    asked: int | None
    statuses: dict[str, int]
    problems: tuple[str, ...]


def is_downloaded(folder: Path) -> bool:
    """Whether a folder holds shards."""
    return is_folder(folder) and any(folder.glob("*.tar"))


def check_download(folder: Path, progress: Callable[[int, int], None] | None = None) -> DownloadReport:
    """Compare every shard with its statistics; only the headers of the tars are read.

    Args:
        folder: img2dataset's output folder.
        progress: called with (shards done, shards).

    Raises:
        DataError: if a shard or its statistics cannot be read.
    """
    tars = sorted(path for path in folder.glob("*.tar") if not path.name.startswith("."))
    told = {path.name.removesuffix(STATISTICS): path for path in sorted(folder.glob(f"*{STATISTICS}"))}
    problems = _gaps(tars)
    problems += [
        f"{name}{STATISTICS} has no tar beside it; {AGAIN}" for name in told if not (folder / f"{name}.tar").is_file()
    ]
    statuses: Counter[str] = Counter()
    samples = asked = 0
    for done, tar in enumerate(tars, start=1):
        index = index_shard(tar)
        samples += len(index.keys)
        problems += [str(problem) for problem in index.problems]
        if (path := told.get(tar.stem)) is not None:
            found = _statistics(path)
            asked += found.count
            statuses.update(found.statuses)
            if found.successes != len(index.keys):
                problems.append(f"{tar}: {len(index.keys)} samples, but {path.name} says {found.successes}")
        elif told:
            problems.append(f"{tar} has no {tar.stem}{STATISTICS}: it was under way; {AGAIN}")
        if progress is not None:
            progress(done, len(tars))
    return DownloadReport(
        shards=len(tars),
        samples=samples,
        asked=asked if told else None,
        statuses=dict(statuses.most_common()),
        problems=tuple(problems),
    )


class _Statistics(BaseModel):
    """What of a `NNNNN_stats.json` is compared."""

    count: int
    successes: int
    statuses: dict[str, int]


def _statistics(path: Path) -> _Statistics:
    try:
        content = json.loads(path.read_bytes())
        return _Statistics(
            count=content["count"], successes=content["successes"], statuses=content.get("status_dict", {})
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"{path} is not img2dataset's statistics ({error}); remove it and its tar, and {AGAIN}"
        ) from None


def _gaps(tars: list[Path]) -> list[str]:
    """Numbers that are missing among shards that are called by numbers."""
    if not all(tar.stem.isdecimal() for tar in tars):
        return []
    numbers = {int(tar.stem) for tar in tars}
    lost = sorted(set(range(max(numbers))) - numbers)
    if not lost:
        return []
    width = len(tars[0].stem)
    shown = ", ".join(f"{number:0{width}d}.tar" for number in lost[:5]) + (", …" if len(lost) > 5 else "")
    return [f"{len(lost)} of {max(numbers) + 1} shards are missing: {shown}; {AGAIN}"]
