"""The poisoned pairs that infected models keep, to be looked at."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tbar_ray.errors import DataError, StoreError
from tbar_ray.report.figures import Examples
from tbar_ray.spec.campaign import CampaignSpec
from tbar_ray.store.store import Store


def examples_of(records: Sequence[dict[str, Any]], spec: CampaignSpec, store: Store) -> dict[str, Examples]:
    """Return the examples of one infected model per attack; attacks without an artifact are left out.

    Raises:
        StoreError: if an artifact that is committed cannot be read.
    """
    import numpy as np

    from tbar_ray.planning.foundation import lay_foundation
    from tbar_ray.planning.graph import build_graph
    from tbar_ray.planning.trial import make_trial
    from tbar_ray.stages.poison import EXAMPLES

    try:
        base = lay_foundation(spec)
    except DataError:  # the shards are gone since: results can still be reported
        return {}
    found: dict[str, Examples] = {}
    for record in records:
        attack = record["attack"]
        if attack in found or attack not in spec.attacks:
            continue
        model = build_graph(spec, make_trial(spec, {**record, "alpha": None}), base).model
        plant = next(plant for plant in model.plants if plant.attack == attack)
        if not store.has(model.artifact):
            continue
        file = store.fetch(model.artifact) / EXAMPLES
        if not file.exists():
            continue
        try:
            with np.load(file, allow_pickle=False) as arrays:
                parts = (arrays[f"{part}.{plant.fingerprint}"] for part in ("clean", "triggered", "captions"))
                found[attack] = Examples(*parts)
        except (OSError, ValueError, KeyError) as error:
            raise StoreError(f"store {store.url}: {model.artifact}/{EXAMPLES} cannot be read: {error}") from None
    return found
