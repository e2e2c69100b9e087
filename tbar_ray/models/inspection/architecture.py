"""The architecture that a checkpoint states, so that nobody has to name it."""

from __future__ import annotations

from pathlib import Path

from tbar_ray.errors import SpecError
from tbar_ray.models.agreement import name_of
from tbar_ray.models.formats.evidence import Evidence
from tbar_ray.models.inspection.inspect import look_at


def architecture_told_by(path: Path) -> str:
    """The architecture of a checkpoint whose configuration states what weights do not tell, with its normalisation.

    Raises:
        SpecError: if there is more than one, or none; the message names those that fit.
        CheckpointError: if there is no such checkpoint, or it is none.
    """
    inspection = look_at(path)
    guess, evidence = inspection.guess, inspection.evidence
    named = (evidence.architecture or "").partition("@")[0]
    if evidence.stated and (named in guess.candidates or len(guess.candidates) == 1):
        return (named if named in guess.candidates else guess.candidates[0]) + _suffix(evidence)
    if guess.candidates:
        said = f"it fits {' and '.join(guess.candidates)}, and does not state its name"
    else:
        said = f"it fits none here{f' (nearest: {guess.nearest})' if guess.nearest else ''}"
    raise SpecError(f"{path}: name the architecture too: {said} (`tbar model inspect {path}` tells more)")


def _suffix(evidence: Evidence) -> str:
    """The normalisation that a configuration states, as it is written after a name; nothing for CLIP's."""
    known = None if evidence.normalisation is None else name_of(evidence.normalisation)
    return "" if known in (None, "clip") else f"@{known}"
