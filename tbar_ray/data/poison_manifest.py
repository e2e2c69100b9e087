"""The manifest of an infected model: every poison plan with its trigger, written and read here alone."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tbar_ray.data.poison import PoisonedSample, PoisonPlan
from tbar_ray.errors import DataError

MANIFEST = "manifest.json"


@dataclass(frozen=True)
class PlantedPoison:
    """One backdoor as it was planted.

    Attributes:
        plan: which samples were changed, and how.
        trigger: the trigger's name and parameters.
        label: class index of the target.
    """

    plan: PoisonPlan
    trigger: Mapping[str, Any]
    label: int


def write_manifest(folder: Path, planted: Iterable[PlantedPoison]) -> None:
    """Write what was planted into a folder: everything that is needed to rebuild or audit the poisoned corpus."""
    content = [
        {
            "trigger": dict(each.trigger),
            "target": each.plan.target,
            "label": each.label,
            "seed": each.plan.seed,
            "count": len(each.plan.samples),
            "samples": [asdict(sample) for sample in each.plan.samples],
            "cover": list(each.plan.cover),
        }
        for each in planted
    ]
    (folder / MANIFEST).write_text(json.dumps(content, indent=1))


def read_manifest(place: Path) -> list[PlantedPoison]:
    """The poison plans that `write_manifest` wrote, with their triggers, in the order of writing.

    Args:
        place: the folder, or the file itself.

    Raises:
        DataError: if there is no manifest, or it is something else.
    """
    file = place if place.is_file() else place / MANIFEST
    try:
        return [_planted(entry) for entry in json.loads(file.read_text())]
    except OSError as error:
        raise DataError(f"cannot read {file}: {error.strerror or error}") from None
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{file} is not a manifest of poisoned samples: {error}") from None


def changed_keys(planted: Iterable[PlantedPoison]) -> frozenset[str]:
    """Keys of all samples that were changed, cover samples included."""
    return frozenset().union(*(each.plan.keys for each in planted))


def _planted(entry: Mapping[str, Any]) -> PlantedPoison:
    samples = tuple(PoisonedSample(**sample) for sample in entry["samples"])
    if len(samples) != entry["count"]:
        raise ValueError(f"it lists {len(samples)} of {entry['count']} samples")
    plan = PoisonPlan(entry["target"], entry["seed"], samples, tuple(entry["cover"]))
    return PlantedPoison(plan, entry["trigger"], entry["label"])
