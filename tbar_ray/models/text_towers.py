"""Text towers for checkpoints that hold an image encoder alone."""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor

from tbar_ray.errors import CheckpointError
from tbar_ray.models.agreement import require_agreement
from tbar_ray.models.architectures import variant
from tbar_ray.models.checkpoint import is_weights_file, load_checkpoint
from tbar_ray.models.factory import create_model, weights_file
from tbar_ray.models.formats.evidence import Evidence
from tbar_ray.models.library import open_clip


def text_tower(architecture: str, text_from: str) -> dict[str, Tensor]:
    """All but the image encoder of a tag's model, or of a checkpoint, under open_clip's names.

    Activation and heads must be the architecture's; how images are normalised is no matter of the text tower.

    Raises:
        CheckpointError: if the tag is unknown, the checkpoint is refused or has no text tower, or either computes with
            another activation.
    """
    if is_weights_file(text_from):
        state, form = load_checkpoint(weights_file(text_from))
        require_agreement(replace(form.evidence, normalisation=None), architecture, text_from)
    else:
        about = open_clip().get_pretrained_cfg(variant(architecture).base, text_from)
        if about:  # an unknown tag, or one of this package's, is told or loaded below
            stated = Evidence(quick_gelu=bool(about.get("quick_gelu", False)), because="open_clip says so", stated=True)
            require_agreement(stated, architecture, f"the tag {text_from}")
        state = create_model(architecture, pretrained=text_from).state_dict()
    text = {name: value for name, value in state.items() if not name.startswith("visual.")}
    if not text:
        raise CheckpointError(f"{text_from} holds an image encoder alone too: take the text tower from a whole model")
    return text
