"""How much what a search found looks like the true trigger; the defender never sees it."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any, ClassVar

from tbar_ray.stages.backdoor import Backdoor
from tbar_ray.stages.invert import ProxyBackdoor
from tbar_ray.stages.node import Node, Stage, StageContext
from tbar_ray.stages.samples import open_evaluation
from tbar_ray.stages.visibility import MOST_IMAGES

LIKENESS = "likeness.json"


class MeasureLikeness(Stage):
    """Overlap and distance of the images that the true trigger and the proxy stamp."""

    kind: ClassVar[str] = "likeness"

    evaluation: Node
    backdoor: Backdoor
    proxy: ProxyBackdoor
    size: int
    """Side of the images in pixels."""

    @property
    def title(self) -> str:
        """The search and the trigger."""
        return f"likeness of {self.proxy.search.search} and {self.backdoor.trigger}"

    def run(self, context: StageContext) -> dict[str, Any]:
        """Compare the images and write the result."""
        import torch

        from tbar_ray.data.selection import evenly_spaced
        from tbar_ray.evaluation.likeness import Likeness
        from tbar_ray.triggers.base import stamp_uint8

        data = open_evaluation(self.evaluation, context.store)
        images, positions, lost = data.load(evenly_spaced(len(data.labels), MOST_IMAGES), self.size, "bicubic")
        clean, keys = torch.from_numpy(images), data.keys(positions)
        true, found = (
            stamp_uint8(backdoor.build(context.store).at_test(), clean, keys)
            for backdoor in (self.backdoor, self.proxy)
        )
        (context.out / LIKENESS).write_text(json.dumps(asdict(Likeness.of(clean, true, found)), indent=1))
        return {"lost": [*data.lost, *lost]}
