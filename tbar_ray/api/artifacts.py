"""Artifacts in a campaign's store, found by kind: models, corpora and evaluation sets."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tbar_ray.data.places import resolve
from tbar_ray.data.poison_manifest import MANIFEST, changed_keys, read_manifest
from tbar_ray.errors import DataError
from tbar_ray.models.formats.folders import ARTIFACT

COMMIT, WEIGHTS = ARTIFACT
"""Files of an artifact: its record, and a model's weights."""


def find_artifact(store: str | Path, kind: str, *, trigger: str | None = None) -> Path:
    """Folder of the newest artifact of a kind, by when its stage ended, in a campaign's store on this machine.

    Args:
        store: the store's folder, e.g. `mlruns/store`.
        kind: `infected-model`, `clean-model`, `corpus`, `evaluation-set`, …
        trigger: of an infected model: only those into which this trigger was planted.

    Raises:
        DataError: if there is none; the message lists what the store holds.
    """
    root = Path(resolve(store)) / "artifacts"
    names = sorted(path.parent.name for path in root.glob(f"*/{COMMIT}"))
    found = [name for name in names if name.rpartition("-")[0] == kind]
    if trigger is not None:
        found = [name for name in found if trigger in _planted(root / name)]
    if not found:
        kinds = ", ".join(sorted({name.rpartition("-")[0] for name in names})) or "nothing"
        what = kind if trigger is None else f"{kind} with the trigger {trigger!r}"
        raise DataError(f"{root} has no {what}; it holds {kinds} (`make sweep` runs the quickstart)")
    return max((root / name for name in found), key=lambda path: float(_read(path / COMMIT).get("ended", 0)))


def poisoned_keys(infected: str | Path) -> frozenset[str]:
    """Keys of the samples that an attack of a campaign changed, to be excluded from a defender's data.

    Args:
        infected: folder of an infected model.

    Raises:
        DataError: if it has no manifest.
    """
    return changed_keys(read_manifest(Path(infected)))


def architecture_of(artifact: Path) -> str:
    """The open_clip name of the architecture of a model's artifact, as its commit states it.

    Raises:
        DataError: if the artifact holds no model.
    """
    architecture = _read(artifact / COMMIT).get("architecture")
    if not isinstance(architecture, str):
        raise DataError(f"{artifact} holds no model")
    return architecture


def _planted(artifact: Path) -> set[str]:
    if not (artifact / MANIFEST).is_file():
        return set()
    return {str(planted.trigger["name"]) for planted in read_manifest(artifact)}


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise DataError(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from None
