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

    Raises:
        DataError: as `open_sets`, or if a JSON file is no manifest of a subset or of poisoned samples.
    """
    file = Path(resolve(place))
    if not (file.suffix == ".json" and is_file(file)):
        return open_sets(place)
    try:
        planted = isinstance(json.loads(file.read_bytes()), list)
    except ValueError:
        raise DataError(f"{file} is not JSON") from None
    keys = sorted(changed_keys(read_manifest(file))) if planted else read_subset(file).keys
    return {place: KeyList(tuple(keys))}
