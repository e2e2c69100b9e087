"""Writing a checkpoint in another format. Every tensor keeps its bits: names and places change, numbers do not."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, get_args

from tbar_ray.errors import CheckpointError, SpecError
from tbar_ray.models.agreement import hint_against, require_agreement
from tbar_ray.models.checkpoint import CheckpointFormat, load_checkpoint, save_checkpoint
from tbar_ray.models.factory import require_fit
from tbar_ray.models.formats import hub_folder, transformers_clip
from tbar_ray.models.formats.evidence import Evidence
from tbar_ray.models.formats.plain import ARCHITECTURE
from tbar_ray.models.formats.transformers_names import TRANSFORMERS
from tbar_ray.models.inspection.architecture import architecture_told_by
from tbar_ray.models.text_towers import text_tower

Target = Literal["open_clip", "transformers", "safetensors"]
TARGETS: Final[tuple[Target, ...]] = get_args(Target)
OF_TORCH: Final = {"format": "pt"}
"""Metadata without which transformers refuses a file."""


@dataclass(frozen=True)
class Conversion:
    """What was written.

    Attributes:
        path: the file, or the folder.
        architecture: what the model was taken for; None where no target needed it.
        tensors: how many tensors were written.
        left_out: tensors and numbers of the source that are no part of the model.
        note: what speaks against the architecture that was given; None: nothing.
    """

    path: Path
    architecture: str | None
    tensors: int
    left_out: tuple[str, ...]
    note: str | None


def convert(
    source: Path, target: Target, out: Path, *, architecture: str | None = None, text_from: str | None = None
) -> Conversion:
    """Write a checkpoint as a folder of open_clip or transformers, or as one safetensors file with open_clip's names.

    Args:
        source: a checkpoint in any of the known formats.
        target: what to write.
        out: the folder, or for `safetensors` the file.
        architecture: the model's; None: as the checkpoint states. A safetensors file does without, where the checkpoint
            says nothing but tensors.
        text_from: for an image encoder alone: a tag of open_clip, or a checkpoint, whose text tower is added.

    Raises:
        CheckpointError: if the checkpoint is refused, does not fit, says something else of its model, or cannot be
            written so.
        SpecError: if an architecture is needed and cannot be told.
    """
    _require_path(out, target)
    state, form = load_checkpoint(source, mapped=True)
    if architecture is None and (target != "safetensors" or text_from is not None or _says_something(form.evidence)):
        architecture = architecture_told_by(source)
    note = None if architecture is None else hint_against(form.evidence, architecture)
    if architecture is not None and note is None:
        require_agreement(form.evidence, architecture, str(source))
    alone = all(name.startswith("visual.") for name in state)
    if text_from is not None and architecture is not None:
        if not alone:
            raise CheckpointError(f"{source} has a text tower of its own: leave --text-from out")
        state = {**text_tower(architecture, text_from), **state}
    elif alone and target != "safetensors":
        raise CheckpointError(
            f"{source} holds an image encoder alone: add a text tower with --text-from openai (a tag or a checkpoint)"
        )
    if architecture is not None and not (alone and text_from is None):
        require_fit(state, str(source), architecture)
    save_checkpoint(state, out, _format(target, architecture))
    return Conversion(out, architecture, len(state), tuple(form.others), note)


def _says_something(evidence: Evidence) -> bool:
    """Whether a file says more of its model than the tensors that a safetensors file would keep."""
    return any(part is not None for part in (evidence.quick_gelu, evidence.normalisation, evidence.heads))


def _require_path(out: Path, target: Target) -> None:
    if target == "safetensors" and out.suffix != ".safetensors":
        raise SpecError(f"{out}: name a .safetensors file")
    if target != "safetensors" and out.suffix in {".safetensors", ".pt", ".bin"}:
        raise SpecError(f"{out}: --to {target} writes a folder; name one")


def _format(target: Target, architecture: str | None) -> CheckpointFormat:
    if target == "safetensors":
        known = {} if architecture is None else {ARCHITECTURE: architecture}
        return CheckpointFormat(True, metadata=known)
    assert architecture is not None
    if target == "open_clip":
        files = hub_folder.configuration(architecture)
        return CheckpointFormat(True, weights=hub_folder.WEIGHTS, files=files, metadata=OF_TORCH)
    files = transformers_clip.configuration(architecture)
    return CheckpointFormat(
        True, layout=TRANSFORMERS, weights=transformers_clip.WEIGHTS, files=files, metadata=OF_TORCH
    )
