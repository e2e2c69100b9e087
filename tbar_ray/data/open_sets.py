"""Any place of images as sets of samples, to compare them: shards, sets with splits, folders of images."""

from __future__ import annotations

from pathlib import Path

from tbar_ray.data.benchmark_layout import has_split, is_set, open_split
from tbar_ray.data.corpus import Corpus
from tbar_ray.data.folder import FolderSamples
from tbar_ray.data.layout import SPLITS
from tbar_ray.data.places import is_folder, resolve
from tbar_ray.data.samples import Samples
from tbar_ray.errors import DataError
from tbar_ray.redaction import redact


def open_sets(place: str) -> dict[str, Samples]:
    """Open what a place holds: one set, or every split of a set in CLIP_benchmark's layout.

    Args:
        place: shards, a set in CLIP_benchmark's layout, or a folder of images.

    Returns:
        Sets by name: the place, without secrets, and the split where there are splits.

    Raises:
        DataError: if there are no samples.
    """
    shown = redact(place)
    if is_set(place):
        splits = [split for split in SPLITS if has_split(place, split)]
        if not splits:
            raise DataError(f"{shown} has neither test/nshards.txt nor train/nshards.txt")
        return {f"{shown}/{split}": open_split(place, split) for split in splits}
    folder = Path(resolve(place))
    if is_folder(folder) and not any(folder.glob("*.tar")):
        return {shown: FolderSamples(folder)}
    return {shown: Corpus.open(place)}


def short_name(samples: Samples, i: int) -> str:
    """Key of a sample as its shard or folder has it, without a namespace."""
    return samples.name(i) if isinstance(samples, Corpus) else samples.keys[i]
