"""What `tbar data overlap` compares: sets with images, and manifests that name keys alone."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from tbar_ray.data.open_sets import open_sets
from tbar_ray.data.overlap import Compared, KeyList
from tbar_ray.data.places import is_file, resolve
from tbar_ray.data.poison_manifest import changed_keys, read_manifest
from tbar_ray.data.subset import read_subset
from tbar_ray.errors import DataError


def open_compared(place: str) -> Mapping[str, Compared]:
    """Open a manifest or a place of images, by name.

    Args:
        place: as for `open_sets`; the manifest of a subset or of an infected model; or the `samples.json` of a vector,
            which lists the defender's keys by their use.

    Raises:
        DataError: as `open_sets`, or if a JSON file is no manifest of a subset or of poisoned samples.
    """
    file = Path(resolve(place))
    if not (file.suffix == ".json" and is_file(file)):
        return open_sets(place)
    try:
        content = json.loads(file.read_bytes())
    except ValueError:
        raise DataError(f"{file} is not JSON") from None
    if isinstance(content, list):
        return {place: KeyList(tuple(sorted(changed_keys(read_manifest(file)))))}
    if isinstance(content, dict) and content and all(isinstance(keys, list) for keys in content.values()):
        return {f"{place}: {use}": KeyList(tuple(keys)) for use, keys in content.items()}
    return {place: KeyList(read_subset(file).keys)}
