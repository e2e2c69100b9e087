"""The geometry of a trigger in weight space: its vector's length and direction, and the overlap of its gradient."""

from __future__ import annotations

import json
from typing import Any, ClassVar

from tbar_ray.stages.component import VECTOR, ComponentVector
from tbar_ray.stages.evaluate import Evaluate
from tbar_ray.stages.node import Stage, StageContext

GEOMETRY = "geometry.json"


class MeasureGeometry(Stage):
    """Lengths and angles at the clean model θ_pre, once for an attack: no forget set has a part in them.

    The gradients are of the test images of the other classes: triggered and labelled with the target, and the same
    images clean with their own class.
    """

    kind: ClassVar[str] = "geometry"
    on_model: ClassVar[bool] = True

    scorer: Evaluate
    """Says clean model, evaluation set, split and trigger; its test split gives the images."""
    trigger_vector: ComponentVector
    towards_vector: ComponentVector
    images: int

    @property
    def title(self) -> str:
        """The trigger."""
        return f"geometry of {self.scorer.backdoor.trigger}"

    @property
    def work(self) -> int:
        """Images that go through the model, in both gradients."""
        return 2 * self.images

    def run(self, context: StageContext) -> dict[str, Any]:
        """Compare the vectors, then both gradients."""
        import torch

        from tbar_ray.data.selection import evenly_spaced
        from tbar_ray.evaluation import geometry
        from tbar_ray.evaluation.normalised_images import NormalisedImages
        from tbar_ray.models.task_vector import TaskVector
        from tbar_ray.stages.runtime import device_for

        store, device = context.store, device_for(context.policy)
        data = self.scorer.open_data(store)
        model, head, preprocess = self.scorer.load_model(store, device, data)
        weights = geometry.image_weights(model)
        trigger, towards = (
            {name: TaskVector.load(store.fetch(stage.artifact) / VECTOR).tensors[name] for name in weights}
            for stage in (self.trigger_vector, self.towards_vector)
        )
        split = self.scorer.load_split(data, "test", self.scorer.backdoor.build(store), preprocess)
        target = data.class_index(self.scorer.backdoor.target)
        others = (split.labels != target).nonzero().flatten()
        chosen = others[evenly_spaced(len(others), self.images)]
        gradients = []
        for images, labels in (
            (split.triggered[chosen], torch.full((len(chosen),), target)),
            (split.clean[chosen], split.labels[chosen]),
        ):
            gradients.append(geometry.loss_gradient(model, head, NormalisedImages(images, preprocess, device), labels))
            context.report({"done": len(gradients), "total": 2})
        of_trigger, of_clean = gradients
        content = {
            "cosine_towards_target": geometry.cosine(trigger, towards),
            "relative_length": geometry.relative_length(trigger, weights),
            "gradient_overlap": geometry.overlap(of_trigger, of_clean),
            "gradient_overlap_by_depth": geometry.overlap_by_depth(of_trigger, of_clean),
            "images": len(chosen),
        }
        (context.out / GEOMETRY).write_text(json.dumps(content, indent=1))
        return content
