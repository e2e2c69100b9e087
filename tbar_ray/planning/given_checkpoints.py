"""Whether a checkpoint that a spec gives would be refused when a stage loads it, as far as its headers tell."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from tbar_ray.data.places import exists, is_remote, resolve
from tbar_ray.errors import CheckpointError, SpecError
from tbar_ray.models.agreement import require_agreement, require_text_tower
from tbar_ray.models.architectures import variant
from tbar_ray.models.checkpoint import is_weights_file
from tbar_ray.models.inspection.inspect import look_at
from tbar_ray.planning.given_weights import text_field


def check_checkpoint(architecture: str, weights: str, text_from: str | None, field: str) -> None:
    """Check that a tag is known, or check a file or folder of this machine. Nothing is downloaded, and the numbers of a
    model are not looked at.

    Args:
        architecture: whose weights they are to be.
        weights: a tag, a path or a URL.
        text_from: the same for the text tower of an image encoder alone; None: the weights have one.
        field: where the spec names the weights.

    Raises:
        SpecError: one line: a tag is unknown; or a file is broken, says something else of its model, has no text tower
            and is given none, or has one and is given another.
    """
    if not is_weights_file(weights):
        if text_from is not None:
            raise SpecError(f"{text_field(field)}: the tag {weights} has a text tower of its own: leave text_from out")
        _require_tag(architecture, weights, field)
        return
    alone = None if text_from is None else True
    if (told := _told(architecture, weights, alone, whole=True)) is not None:
        raise SpecError(f"{field}: {told}")
    if text_from is None:
        return
    if not is_weights_file(text_from):
        _require_tag(architecture, text_from, text_field(field))
    elif (told := _told(architecture, text_from, False, whole=False)) is not None:
        raise SpecError(f"{text_field(field)}: {told}")


def _require_tag(architecture: str, tag: str, field: str) -> None:
    from tbar_ray.models.factory import require_tag

    try:
        require_tag(architecture, tag)
    except CheckpointError as error:
        raise SpecError(f"{field}: {error}") from None


def _told(architecture: str, weights: str, alone: bool | None, *, whole: bool) -> str | None:
    place = resolve(weights)
    if not is_weights_file(weights) or is_remote(place) or not exists(place):
        return None
    path = Path(place)
    changed = max(part.stat().st_mtime_ns for part in (path, *(path.iterdir() if path.is_dir() else ())))
    return _refusal(path, architecture, alone, whole, changed)


@lru_cache
def _refusal(
    path: Path,
    architecture: str,
    alone: bool | None,
    whole: bool,
    changed: int,  # noqa: ARG001 - tells versions apart
) -> str | None:
    """Why a checkpoint would be refused.

    Args:
        path: the checkpoint.
        architecture: whose weights they are to be.
        alone: whether it has to be an image encoder alone; None: it must not be, and is told what to do.
        whole: whether its images count: not where only its text tower is used.
        changed: when.
    """
    try:
        inspection = look_at(path)
        if inspection.problems:
            return f"{path}: {inspection.problems[0]}"
        evidence = inspection.evidence if whole else replace(inspection.evidence, normalisation=None)
        guess = inspection.guess
        kind = variant(architecture)
        if guess.refuses(kind.base, sized=kind.image_size is not None):
            return f"{path} is not a checkpoint of {architecture}: {guess.told}"
        require_agreement(evidence, architecture, str(path))
        if alone and not guess.image_encoder_alone:
            return f"{path} has a text tower of its own: leave text_from out"
        if alone is False and guess.image_encoder_alone:
            return f"{path} holds an image encoder alone too: take the text tower from a whole model"
        require_text_tower(alone is None and guess.image_encoder_alone, architecture, str(path))
    except CheckpointError as error:
        return str(error)
    return None
