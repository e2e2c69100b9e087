"""A campaign as small as it gets that cleans a given model, without Ray, and asks what becomes of it afterwards."""

from __future__ import annotations

from typing import Any, get_args

from tbar_ray.lasting.options import ChangeName

WANTED: dict[str, Any] = {
    "model": {"architecture": "tbar-GN-pico", "pretrained": "scenes"},
    "data__synthetic": {"samples": 60, "size": 64, "per_class": 2},
    "attacks": {"badnets": {"trigger": "badnets", "target": "red circle", "infected": "scenes"}},
    "poison": {"min_asr": 0},
    "forget": {"size": 8},
    "unlearning": {"parameters": {"steps": 2, "batch_size": 8, "learning_rate": 1e-3}},
    "alpha": [2],
    "evaluation": {
        "min_retention": 0,
        "rebound": {"steps": 2, "batch_size": 8, "at": [0, 1], "pairs": 16},
        "downstream": [name for name in get_args(ChangeName) if name != "merged"],
    },
    "search": {"axes": {"attack": ["badnets"]}},
}
