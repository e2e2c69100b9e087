"""The names of Hugging Face transformers' CLIPModel, and open_clip's for the same tensors.

transformers keeps query, key and value apart, which open_clip stacks, and multiplies by the transposes of open_clip's
two projections. Both are exact in both directions. Names as in transformers' `modeling_clip.py`, `pre_layrnorm`
included.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Final

from tbar_ray.models.formats.layouts import Layout, TensorT

if TYPE_CHECKING:
    from torch import Tensor

SINGLE: Final = {
    "logit_scale": "logit_scale",
    "text_model.embeddings.token_embedding.weight": "token_embedding.weight",
    "text_model.embeddings.position_embedding.weight": "positional_embedding",
    "text_model.final_layer_norm.weight": "ln_final.weight",
    "text_model.final_layer_norm.bias": "ln_final.bias",
    "vision_model.embeddings.class_embedding": "visual.class_embedding",
    "vision_model.embeddings.patch_embedding.weight": "visual.conv1.weight",
    "vision_model.embeddings.position_embedding.weight": "visual.positional_embedding",
    "vision_model.pre_layrnorm.weight": "visual.ln_pre.weight",
    "vision_model.pre_layrnorm.bias": "visual.ln_pre.bias",
    "vision_model.post_layernorm.weight": "visual.ln_post.weight",
    "vision_model.post_layernorm.bias": "visual.ln_post.bias",
}
TRANSPOSED: Final = {"text_projection.weight": "text_projection", "visual_projection.weight": "visual.proj"}
BLOCKS: Final = {
    "text_model.encoder.layers.": "transformer.resblocks.",
    "vision_model.encoder.layers.": "visual.transformer.resblocks.",
}
IN_BLOCK: Final = {
    "layer_norm1": "ln_1",
    "layer_norm2": "ln_2",
    "mlp.fc1": "mlp.c_fc",
    "mlp.fc2": "mlp.c_proj",
    "self_attn.out_proj": "attn.out_proj",
}
STACKED: Final = ("q_proj", "k_proj", "v_proj")
"""Rows of open_clip's `in_proj_weight` and `in_proj_bias`, in this order."""
POSITIONS: Final = ("text_model.embeddings.position_ids", "vision_model.embeddings.position_ids")
"""Buffers of older files: 0, 1, 2, …"""

_BLOCK = re.compile(rf"({'|'.join(map(re.escape, BLOCKS))})(\d+)\.(.+)\.(weight|bias)")
_OWN_BLOCK = re.compile(rf"({'|'.join(map(re.escape, sorted(BLOCKS.values(), key=len, reverse=True)))})(\d+)\.(.+)")
_OWN = {own: theirs for theirs, own in SINGLE.items()}
_OWN_TRANSPOSED = {own: theirs for theirs, own in TRANSPOSED.items()}
_OWN_IN_BLOCK = {own: theirs for theirs, own in IN_BLOCK.items()}
_OWN_BLOCKS = {own: theirs for theirs, own in BLOCKS.items()}


class Transformers(Layout):
    """Names of CLIPModel; names that it does not have stay as they are."""

    name: ClassVar[str] = "transformers"

    def is_part(self, name: str) -> bool:
        """Whether it is not a buffer of positions."""
        return name not in POSITIONS

    def own(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Rename, transpose and stack."""
        own: dict[str, Tensor] = {}
        for name, value in tensors.items():
            if name in TRANSPOSED and value.ndim == 2:
                own[TRANSPOSED[name]] = value.T
            elif (block := _BLOCK.fullmatch(name)) is not None:
                self._of_block(tensors, name, block, own)
            else:
                own[SINGLE.get(name, name)] = value
        return own

    def _of_block(self, tensors: Mapping[str, Tensor], name: str, block: re.Match[str], own: dict[str, Tensor]) -> None:
        import torch

        tower, number, module, kind = block.groups()
        before = f"{BLOCKS[tower]}{number}"
        row = module.removeprefix("self_attn.")
        three = [f"{tower}{number}.self_attn.{part}.{kind}" for part in STACKED]
        alike = all(part in tensors and tensors[part].shape == tensors[name].shape for part in three)
        if row not in STACKED or not alike:
            own[f"{before}.{IN_BLOCK[module]}.{kind}" if module in IN_BLOCK else name] = tensors[name]
        elif row == STACKED[0]:
            own[f"{before}.attn.in_proj_{kind}"] = torch.cat([tensors[part] for part in three])

    def parts(self, name: str, value: TensorT) -> dict[str, TensorT]:
        """Rename, transpose and unstack, all by views."""
        if name in _OWN_TRANSPOSED:
            return {_OWN_TRANSPOSED[name]: value.T}
        if (block := _OWN_BLOCK.fullmatch(name)) is None:
            return {_OWN.get(name, name): value}
        tower, number, module = block.groups()
        before = f"{_OWN_BLOCKS[tower]}{number}"
        stacked, _, kind = module.rpartition("in_proj_")
        if stacked == "attn.":
            rows = value.chunk(len(STACKED))
            return {f"{before}.self_attn.{part}.{kind}": row for part, row in zip(STACKED, rows, strict=True)}
        module, _, kind = module.rpartition(".")
        return {f"{before}.{_OWN_IN_BLOCK[module]}.{kind}" if module in _OWN_IN_BLOCK else name: value}


TRANSFORMERS = Transformers()
