"""The victim's step: merging the infected model with models of other tasks (BadMerging, 2408.07362)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from tbar_ray.spec.attack import MergeSpec
from tbar_ray.stages.infected import InfectedNode
from tbar_ray.stages.models import ModelNode
from tbar_ray.stages.node import Stage, StageContext
from tbar_ray.stages.training import WEIGHTS
from tbar_ray.store.store import Store

if TYPE_CHECKING:
    from torch import Tensor, nn

    from tbar_ray.models.factory import Preprocessing


class MergedModel(Stage, ModelNode):
    """θ_pre plus the merged task vectors of several fine-tuned models, the infected one among them.

    The running statistics of the merged weights are estimated anew on clean images of all tasks, as many of each.
    """

    kind: ClassVar[str] = "merged-model"
    version: ClassVar[int] = 2

    clean: ModelNode
    parts: tuple[InfectedNode, ...]
    merge: MergeSpec
    statistics_images: int
    """Clean images for running statistics, of all tasks together; 0: those that the merge leaves."""
    seed: int

    @property
    def title(self) -> str:
        """How many models are merged, and how."""
        return f"merge {len(self.parts)} models ({self.merge.method})"

    def pretrained(self, store: Store) -> str:
        """Local file of the artifact's weights."""
        return str(store.fetch(self.artifact, WEIGHTS) / WEIGHTS)

    def run(self, context: StageContext) -> dict[str, Any]:
        """Merge the vectors and write θ_pre plus the result."""
        import torch

        from tbar_ray.models.checkpoint import save_state_dict
        from tbar_ray.models.merging import merge
        from tbar_ray.models.task_vector import TaskVector

        model = self.clean.load(context.store, torch.device("cpu"))
        start = model.state_dict()
        vectors = [
            TaskVector.between(start, part.load(context.store, torch.device("cpu")).state_dict()) for part in self.parts
        ]
        merged = merge(self.merge.method, self.merge.parameters, vectors)
        model.load_state_dict(start + merged)
        self._reestimate(context.store, model)
        save_state_dict(model.state_dict(), context.out / WEIGHTS)
        return {"norms": [vector.norm() for vector in vectors], "norm": merged.norm()}

    def _reestimate(self, store: Store, model: nn.Module) -> None:
        from tbar_ray.evaluation.normalised_images import statistics_batches
        from tbar_ray.models.factory import preprocessing
        from tbar_ray.models.statistics import has_statistics, reestimate

        if self.statistics_images and has_statistics(model):
            preprocess = preprocessing(model)
            reestimate(model, statistics_batches(self._clean_images(store, preprocess), preprocess, "cpu"))

    def _clean_images(self, store: Store, preprocess: Preprocessing) -> Tensor:
        """Clean images of every part's training data, as many of each, in an order that mixes them."""
        import torch

        from tbar_ray.seeding import torch_generator
        from tbar_ray.stages.statistics_images import draw, images_of

        share = max(1, self.statistics_images // len(self.parts))
        found = []
        for part in self.parts:
            corpus, positions, _ = part.training_samples(store)
            keys = (corpus.keys[int(position)] for position in positions)
            chosen = draw(corpus, keys, share, self.seed, "merge statistics", part.poisoned_keys(store))
            found.append(images_of(corpus, chosen, preprocess))
        images = torch.cat(found)
        return images[torch.randperm(len(images), generator=torch_generator(self.seed, "merge order", len(images)))]
