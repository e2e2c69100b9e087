"""The manifest of a cleaned file: all that is needed to make it again, and to tell what it was made of."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from tbar_ray import __version__
from tbar_ray.data.samples import Samples
from tbar_ray.errors import CheckpointError
from tbar_ray.onemodel.opening import file_facts
from tbar_ray.onemodel.remove import Cleaned
from tbar_ray.redaction import redact_all
from tbar_ray.triggers.base import Trigger

SCHEMA_VERSION = 1
LONG = 200
"""Characters from which a parameter is told by its hash."""
PACKAGES = ("torch", "open_clip_torch", "timm", "safetensors", "numpy", "pillow")


def manifest_path(file: Path) -> Path:
    """`FILE.manifest.json`."""
    return file.with_name(f"{file.name}.manifest.json")


def write_manifest(content: Mapping[str, Any], file: Path) -> Path:
    """Write the manifest of a file beside it; secrets in URLs and commands are left out.

    Raises:
        CheckpointError: if it cannot be written.
    """
    path = manifest_path(file)
    try:
        path.write_text(json.dumps(redact_all(dict(content)), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    except OSError as error:
        raise CheckpointError(f"cannot write {path}: {error.strerror or error}") from None
    return path


def manifest_of(cleaned: Cleaned, files: Sequence[Path], command: Sequence[str] = ()) -> dict[str, Any]:
    """What was cleaned, with what, and what came of it.

    Args:
        cleaned: the cleaned model.
        files: what was written of it, the weights first.
        command: the words that were typed; none from Python.
    """
    examined = cleaned.examined
    opened, settings, defence = examined.opened, examined.settings, examined.defence
    evaluation = defence.evaluation
    used = sorted({key for keys in cleaned.keys.values() for key in keys})
    return {
        **basis(files, command),
        "input": {
            "checkpoint": opened.source,
            "file": None if opened.facts is None else asdict(opened.facts),
            "evidence": [asdict(line) for line in opened.evidence],
        },
        "backdoor": {
            "trigger": described(examined.backdoor.trigger),
            "target": examined.backdoor.target,
            "origin": examined.suspect.origin,
        },
        "method": {"name": settings.method, "parameters": examined.method.model_dump(mode="json")},
        "alpha": cleaned.alpha,
        "coefficient": cleaned.coefficient,
        "statistics": {"chosen_on": cleaned.walk.statistics, "images": cleaned.statistics_images},
        "settings": {**asdict(settings), "parameters": dict(settings.parameters)},
        "data": {
            "forget_and_clean": {
                "samples": {use: list(keys) for use, keys in cleaned.keys.items()},
                "excluded": cleaned.excluded,
                "sha256": digest_of(defence.samples, (defence.samples.index_of(key) for key in used)),
            },
            "evaluation": {
                "labels": "the model's own answers" if defence.answers else "given",
                "classes": list(evaluation.classes.names),
                "templates": list(evaluation.classes.templates),
                "validation": len(examined.validation),
                "test": len(examined.test),
                "sha256": digest_of(
                    evaluation.data.corpus, map(int, [*examined.validation.positions, *examined.test.positions])
                ),
            },
        },
        "scores": {
            "before": examined.before.to_dict(),
            "after": cleaned.after.to_dict(),
            "walk": cleaned.walk.to_dict(),
            "retrieval": _retrieval(cleaned),
        },
        "seconds": dict(cleaned.seconds),
    }


def basis(files: Sequence[Path], command: Sequence[str]) -> dict[str, Any]:
    """What every manifest begins with: version, date, command, files, versions of packages, machine."""
    return {
        "schema_version": SCHEMA_VERSION,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": list(command),
        "files": [asdict(file_facts(file)) for file in files],
        "versions": versions(),
        "machine": {
            "python": platform.python_version(),
            "system": platform.platform(),
            "threads": torch.get_num_threads(),
        },
    }


def versions() -> dict[str, str]:
    """Versions of this package and of those whose numbers the weights depend on."""
    found = {"tbar-ray": __version__}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def described(trigger: Trigger) -> dict[str, Any]:
    """A trigger's name and parameters; of pixels and what a search found their hash, of functions their name."""
    fields = {
        name: _short(value) for name in type(trigger).model_fields if not callable(value := getattr(trigger, name))
    }
    return {"name": trigger.name, **json.loads(json.dumps(fields, default=str))}


def _short(value: object) -> object:
    """A parameter, or the hash of one that is too long to be read."""
    content = value.encode() if isinstance(value, str) and len(value) > LONG else value
    return hashlib.sha256(content).hexdigest() if isinstance(content, bytes) else value


def digest_of(samples: Samples, positions: Iterable[int]) -> str:
    """SHA-256 over the keys and the bytes of some samples' images, in their order."""
    digest = hashlib.sha256()
    for position in positions:
        content = samples.image_bytes(position)
        digest.update(f"{samples.keys[position]}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()


def _retrieval(cleaned: Cleaned) -> dict[str, Any]:
    before, after = cleaned.examined.retrieval, cleaned.retrieval
    return {
        url: {
            "before": {name: rate.to_dict() for name, rate in before[url].items()},
            "after": {name: rate.to_dict() for name, rate in after[url].items()},
        }
        for url in before
    }
