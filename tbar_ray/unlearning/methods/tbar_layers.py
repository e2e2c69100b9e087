"""TBAR restricted to a part of the image encoder."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from tbar_ray.models.blocks import blocks_of
from tbar_ray.models.task_vector import TaskVector
from tbar_ray.unlearning.base import Infected, Unlearned
from tbar_ray.unlearning.edit import Edit
from tbar_ray.unlearning.methods.refined import RefinedTBAR

Part = Literal["late", "early", "head", "norms", "matrices"]
PROJECTION = "visual.proj"
"""A vision transformer's output projection: a parameter of the encoder itself, and so the first in its state dict."""


class LayerTBAR(RefinedTBAR):
    """θ_b − α·τ with τ set to 0 outside a part of the image encoder.

    `late` and `early` keep a share of the residual blocks, counted from the end or the beginning; layers after the
    blocks (pooling, projection) belong to the late part and are all of `head`; layers before them belong to the
    early part. `norms` keeps vectors (gains and biases), `matrices` everything else. Patch triggers sit in the
    attention heads of CLIP's last layer, global ones in about five late MLPs ('A closer look at backdoor attacks on
    CLIP', ICML 2025).
    """

    name: ClassVar[str] = "tbar-layers"

    part: Part = Field(default="late", description="part of the trigger vector that is kept")
    share: float = Field(default=0.5, gt=0, le=1, description="share of the blocks that counts as late or early")

    def refine(self, found: Unlearned, infected: Infected) -> Unlearned:
        """Keep a part of the vector."""
        blocks = [f"visual.{name}." for name in blocks_of(infected.model, self.name)]
        vector = restricted(found.edit.vector, blocks, self.part, self.share)
        kept = vector.norm() / max(found.edit.vector.norm(), 1e-12)
        return Unlearned(Edit(vector), found.record, {"norm_kept": kept})


def restricted(vector: TaskVector, blocks: list[str], part: Part, share: float) -> TaskVector:
    """A copy of the vector that is 0 outside a part.

    Args:
        vector: the trigger vector.
        blocks: name prefixes of the blocks' weights, first to last.
        part: the part that is kept.
        share: share of the blocks, for late and early; at least one block.
    """
    count = max(1, round(share * len(blocks)))
    late, early = tuple(blocks[-count:]), tuple(blocks[:count])
    seen = False
    tensors = {}
    for name, value in vector.tensors.items():
        within = name.startswith(tuple(blocks))
        seen = seen or within
        if part == "norms":
            kept = value.ndim < 2
        elif part == "matrices":
            kept = value.ndim >= 2
        elif within:
            kept = part != "head" and name.startswith(late if part == "late" else early)
        else:  # before the first block or after the last, in the order of the state dict, which names `proj` too early
            after = seen or name == PROJECTION
            kept = after if part in {"late", "head"} else not after
        tensors[name] = value if kept else value.new_zeros(value.shape)
    return TaskVector(tensors, vector.integer_buffers)
