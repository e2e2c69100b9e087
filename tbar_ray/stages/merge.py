"""The victim's step: merging the infected model with models of other tasks (BadMerging, 2408.07362)."""

from __future__ import annotations

from typing import Any, ClassVar

from tbar_ray.spec.attack import MergeSpec
from tbar_ray.stages.models import ModelNode
from tbar_ray.stages.node import Stage, StageContext
from tbar_ray.stages.training import WEIGHTS
from tbar_ray.store.store import Store


class MergedModel(Stage, ModelNode):
    """θ_pre plus the merged task vectors of several fine-tuned models, the infected one among them."""

    kind: ClassVar[str] = "merged-model"

    clean: ModelNode
    parts: tuple[ModelNode, ...]
    merge: MergeSpec

    @property
    def title(self) -> str:
        """Return how many models are merged, and how."""
        return f"merge {len(self.parts)} models ({self.merge.method})"

    def pretrained(self, store: Store) -> str:
        """Return the artifact's weights."""
        return str(store.fetch(self.artifact, WEIGHTS) / WEIGHTS)

    def run(self, context: StageContext) -> dict[str, Any]:
        """Merge the vectors and write θ_pre plus the result."""
        import torch

        from tbar_ray.models.checkpoint import save_state_dict
        from tbar_ray.models.merging import merge
        from tbar_ray.models.task_vector import TaskVector

        start = self.clean.load(context.store, torch.device("cpu")).state_dict()
        vectors = [
            TaskVector.between(start, part.load(context.store, torch.device("cpu")).state_dict()) for part in self.parts
        ]
        merged = merge(self.merge.method, self.merge.parameters, vectors)
        save_state_dict(start + merged, context.out / WEIGHTS)
        return {"norms": [vector.norm() for vector in vectors], "norm": merged.norm()}
