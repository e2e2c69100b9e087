"""How visible a trigger is on an evaluation set at a model's resolution."""

from __future__ import annotations

import json
from typing import Any, ClassVar

from tbar_ray.stages.backdoor import Backdoor
from tbar_ray.stages.node import Node, Stage, StageContext
from tbar_ray.stages.samples import open_evaluation

VISIBILITY = "visibility.json"
MOST_IMAGES = 256
"""Images that are compared at most, evenly spaced over the whole set."""


class MeasureVisibility(Stage):
    """PSNR and SSIM between clean images and the same stamped as for evaluation, both rounded to 256 levels.

    It depends on backdoor, evaluation set and size alone, so all models that one backdoor is planted in share it.
    Images are resized bicubically, as CLIP's are, whatever the model's own weights ask for.
    """

    kind: ClassVar[str] = "visibility"

    evaluation: Node
    backdoor: Backdoor
    size: int
    """Side of the images in pixels."""

    @property
    def title(self) -> str:
        """The trigger and the size."""
        return f"visibility of {self.backdoor.trigger} at {self.size} px"

    def run(self, context: StageContext) -> dict[str, Any]:
        """Compare the images and write both measures."""
        import torch

        from tbar_ray.data.selection import evenly_spaced
        from tbar_ray.evaluation.visibility import Visibility
        from tbar_ray.triggers.base import stamp_uint8

        data = open_evaluation(self.evaluation, context.store)
        images, positions, lost = data.load(evenly_spaced(len(data.labels), MOST_IMAGES), self.size, "bicubic")
        clean = torch.from_numpy(images)
        stamped = stamp_uint8(self.backdoor.build(context.store).at_test(), clean, data.keys(positions))
        (context.out / VISIBILITY).write_text(json.dumps(Visibility.of(clean, stamped).to_dict(), indent=1))
        return {"lost": [*data.lost, *lost]}
