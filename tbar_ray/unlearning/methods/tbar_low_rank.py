"""TBAR with a trigger vector of low rank."""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor

from tbar_ray.models.task_vector import TaskVector
from tbar_ray.unlearning.base import Infected, Unlearned
from tbar_ray.unlearning.edit import Edit
from tbar_ray.unlearning.methods.refined import RefinedTBAR


class LowRankTBAR(RefinedTBAR):
    """θ_b − α·τ with every matrix of τ replaced by its best low-rank approximation (Eckart–Young).

    Kernels are treated as matrices [out, in·height·width]; vectors are unchanged. A backdoor is one narrow function,
    whereas clean features are many: the leading directions of τ should contain the trigger.
    """

    name: ClassVar[str] = "tbar-low-rank"

    rank_share: float = Field(
        default=0.1, gt=0, le=1, description="share of each matrix's singular values that is kept, at least 1"
    )

    def refine(self, found: Unlearned, infected: Infected) -> Unlearned:  # noqa: ARG002 - it needs the vector alone
        """Truncate the vector."""
        tensors = {
            name: truncated(value, self.rank_share) if value.ndim >= 2 and bool(value.any()) else value
            for name, value in found.edit.vector.tensors.items()
        }
        vector = TaskVector(tensors, found.edit.vector.integer_buffers)
        kept = vector.norm() / max(found.edit.vector.norm(), 1e-12)
        return Unlearned(Edit(vector), found.record, {"norm_kept": kept})


def truncated(matrix: Tensor, share: float) -> Tensor:
    """Low-rank approximation of a tensor, viewed as a matrix [D, …], by its leading ⌈share·rank⌉ singular values."""
    flat = matrix.reshape(len(matrix), -1)
    u, s, vh = torch.linalg.svd(flat, full_matrices=False)
    count = max(1, int(-(-share * len(s) // 1)))
    best: Tensor = u[:, :count] * s[:count] @ vh[:count]
    return best.view_as(matrix)
