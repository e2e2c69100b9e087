"""Whether a checkpoint that a spec gives would be refused when a stage loads it, as far as its headers tell."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from tbar_ray.data.places import exists, is_remote, resolve
from tbar_ray.errors import CheckpointError, SpecError
from tbar_ray.models.agreement import require_agreement, require_text_tower
from tbar_ray.models.architectures import variant
from tbar_ray.models.checkpoint import is_weights_file
from tbar_ray.models.inspection.inspect import look_at


def check_checkpoint(architecture: str, weights: str, field: str) -> None:
    """Check a file or folder of this machine. Tags and URLs are not looked at, nor the numbers of a model.

    Args:
        architecture: whose weights they are to be.
        weights: a tag, a path or a URL.
        field: where the spec names it.

    Raises:
        SpecError: one line: the file is broken, says something else of its model, or has no text tower.
    """
    place = resolve(weights)
    if not is_weights_file(weights) or is_remote(place) or not exists(place):
        return
    path = Path(place)
    changed = max(part.stat().st_mtime_ns for part in (path, *(path.iterdir() if path.is_dir() else ())))
    if (told := _refusal(path, architecture, changed)) is not None:
        raise SpecError(f"{field}: {told}")


@lru_cache
def _refusal(path: Path, architecture: str, changed: int) -> str | None:  # noqa: ARG001 - `changed` tells versions apart
    try:
        inspection = look_at(path)
        if inspection.problems:
            return f"{path}: {inspection.problems[0]}"
        require_agreement(inspection.evidence, architecture, str(path))
        guess = inspection.guess
        if guess.fitting and variant(architecture).base not in guess.fitting:
            return f"{path} is not a checkpoint of {architecture}: {guess.told}"
        require_text_tower(guess.image_encoder_alone, architecture, str(path))
    except CheckpointError as error:
        return str(error)
    return None
