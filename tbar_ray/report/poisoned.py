"""Examples of poisoned pairs, kept with infected models."""

from __future__ import annotations

from collections.abc import Sequence

from tbar_ray.errors import BrokenArtifactError, StoreError
from tbar_ray.records.record import TrialRecord
from tbar_ray.report.figures.contact import Examples
from tbar_ray.store.store import Store


def examples_of(records: Sequence[TrialRecord], store: Store) -> dict[str, Examples]:
    """Examples of one infected model per attack; attacks without an artifact are left out.

    Raises:
        StoreError: if an artifact that is committed cannot be read.
    """
    import numpy as np

    from tbar_ray.stages.poison import EXAMPLES

    found: dict[str, Examples] = {}
    for record in records:
        artifact, plant = record.infected_artifact, record.plant_fingerprint
        if record.attack in found or artifact is None or plant is None:
            continue
        try:
            file = store.fetch(artifact, EXAMPLES) / EXAMPLES
        except BrokenArtifactError:  # it counts as absent
            continue
        if not file.exists():
            continue
        try:
            with np.load(file, allow_pickle=False) as arrays:
                parts = (arrays[f"{part}.{plant}"] for part in ("clean", "triggered", "captions"))
                found[record.attack] = Examples(*parts)
        except (OSError, ValueError, KeyError) as error:
            raise StoreError(f"store {store.url}: {artifact}/{EXAMPLES} cannot be read: {error}") from None
    return found
