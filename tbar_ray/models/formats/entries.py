"""Finding the state dict in what a file holds."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tbar_ray.errors import CheckpointError
from tbar_ray.models.formats.image_encoders import TECOA_ENTRY
from tbar_ray.models.formats.tensor_info import is_tensor

ENTRIES = (
    "state_dict", "model_state_dict", "model", "module", "net", "network", "clip", "weights", "params", TECOA_ENTRY,
    "ema", "model_ema", "ema_model", "ema_state_dict", "state_dict_ema", "model_ema_state_dict", "student",
)  # fmt: skip
"""Entries of training checkpoints that hold weights, or a dictionary with such an entry. The first that is there
counts: trained weights before their moving average. Where there is none, an entry of any other name that alone does."""
BESIDES = frozenset({"input_resolution", "context_length", "vocab_size", "n_averaged"})
"""Numbers that checkpoints keep among the weights: three of OpenAI's, and the count of torch's AveragedModel."""
DEEPEST = 3
"""Dictionaries in dictionaries in which weights are looked for under other names."""
SHOWN = 6
"""Entries that a refusal names."""


def find_state_dict(path: Path, content: object) -> tuple[dict[str, Any], tuple[str, ...], dict[str, object]]:
    """The state dict, the entries that lead to it, and the other entries of the file.

    Its values are tensors, or numbers for names of `BESIDES`.

    Raises:
        CheckpointError: if there is none; the message says what there is.
    """
    place, entries = content, list[str]()
    while isinstance(place, Mapping) and not _is_state_dict(place):
        entry = next((name for name in ENTRIES if isinstance(place.get(name), Mapping)), None) or _only_entry(place)
        if entry is None or len(entries) == len(ENTRIES):
            break
        place, entries = place[entry], [*entries, entry]
    if not isinstance(place, Mapping) or not _is_state_dict(place):
        within = f" under {'.'.join(entries)}" if entries else ""
        raise CheckpointError(
            f"{path} holds no state dict: expected a mapping of names to tensors, as the file or as its entry "
            f"{', '.join(ENTRIES[:3])}, …; found{within} {_told(place)}"
        )
    beside = content if entries and isinstance(content, Mapping) else {}
    return dict(place), tuple(entries), {str(key): value for key, value in beside.items() if key != entries[0]}


def _only_entry(content: Mapping[Any, Any]) -> str | None:
    """The entry of another name that holds weights, or a dictionary with such an entry; None where several do, or none.

    States of optimizers are no state dicts: their names are numbers, and so are most of their values.
    """
    looked_at: dict[int, bool] = {}  # each dictionary once: a hostile file may hold one in thousands of places

    def leads_to_weights(value: object, depth: int = 0) -> bool:
        if not isinstance(value, Mapping) or depth > DEEPEST:
            return False
        if id(value) not in looked_at:
            looked_at[id(value)] = False
            below = [part for name, part in value.items() if isinstance(name, str)]
            looked_at[id(value)] = _is_state_dict(value) or any(leads_to_weights(part, depth + 1) for part in below)
        return looked_at[id(value)]

    found = [name for name, value in content.items() if isinstance(name, str) and leads_to_weights(value)]
    return found[0] if len(found) == 1 else None


def _is_state_dict(content: Mapping[Any, Any]) -> bool:
    weights = {key: value for key, value in content.items() if str(key).rpartition(".")[2] not in BESIDES}
    return bool(weights) and all(isinstance(k, str) and is_tensor(v) for k, v in weights.items())


def _told(content: object) -> str:
    """Say what something that is no state dict is."""
    if not isinstance(content, Mapping):
        return f"a {type(content).__name__}"
    if not content:
        return "an empty mapping"
    named = [f"{str(key)[:40]!r} ({type(value).__name__})" for key, value in list(content.items())[:SHOWN]]
    return "the entries " + ", ".join(named) + (f" and {len(content) - SHOWN} more" if len(content) > SHOWN else "")
