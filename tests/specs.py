"""Small specs, as a file says them."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

import yaml

from tbar_ray.spec.campaign import CampaignSpec

CONTENT: dict[str, Any] = {
    "name": "demo",
    "data": {"synthetic": {"samples": 400, "size": 16, "per_class": 2}},
    "model": {"architecture": "tbar-RN-tiny", "training": {"epochs": 1}},
    "attacks": {
        "badnets": {"trigger": "badnets", "target": "red circle"},
        "blended": {"trigger": "blended", "target": "red circle"},
    },
    "poison": {"rate": 0.05},
    "forget": {"size": 20},
    "search": {"axes": {"attack": ["badnets", "blended"]}},
}


def content(**changes: Any) -> dict[str, Any]:
    """The mapping of a sound spec; `a__b=value` sets `a.b`, and `a__b=...` removes it."""
    made = deepcopy(CONTENT)
    for key, value in changes.items():
        *parents, last = key.split("__")
        place = made
        for parent in parents:
            place = place.setdefault(parent, {})
        if value is ...:
            place.pop(last)
        else:
            place[last] = deepcopy(value)  # a later change of a part is of this spec alone
    return made


def spec(**changes: Any) -> CampaignSpec:
    return CampaignSpec.model_validate(content(**changes))


def write(folder: Path, text: str | None = None, **changes: Any) -> Path:
    """Write a spec file, of `text` or of a sound spec with changes."""
    path = folder / "spec.yaml"
    path.write_text(yaml.safe_dump(content(**changes)) if text is None else text)
    return path
