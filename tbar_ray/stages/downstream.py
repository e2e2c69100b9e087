"""What is left of a cleaning once people compress the model, average it with its past, or classify its features."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, ClassVar

from tbar_ray.lasting.options import ChangeName
from tbar_ray.stages.alpha_path import AlphaPath
from tbar_ray.stages.models import ModelNode
from tbar_ray.stages.node import Stage, StageContext
from tbar_ray.stages.poison import InfectedModel
from tbar_ray.stages.subject import subject_of
from tbar_ray.store.store import Store

if TYPE_CHECKING:
    from tbar_ray.models.task_vector import TaskVector

DOWNSTREAM = "downstream.json"


class MeasureDownstream(Stage):
    """The cleaned model at the selected α after each of some changes, scored on the test split.

    Running statistics are re-estimated on the defender's clean images, labelled images are those of validation, which
    had no part in the scores.
    """

    kind: ClassVar[str] = "downstream"
    on_model: ClassVar[bool] = True

    path: AlphaPath
    changes: tuple[ChangeName, ...]
    another: InfectedModel | None = None
    """A model fine-tuned cleanly for another task, whose vector is merged in; None where no change needs it."""

    @property
    def title(self) -> str:
        """The number of changes, and the title of the edit."""
        return f"{len(self.changes)} downstream changes of {self.path.unlearn.title}"

    @property
    def work(self) -> int:
        """Images scored: the test split for each change; 0 if the set is not limited."""
        scorer = self.path.infected
        return round(len(self.changes) * scorer.work * (1 - scorer.validation_fraction))

    def run(self, context: StageContext) -> dict[str, Any]:
        """Change and score; an empty file where no α was selected."""
        import torch

        from tbar_ray.evaluation.normalised_images import NormalisedImages, statistics_batches
        from tbar_ray.lasting.change import Material
        from tbar_ray.lasting.downstream import score_changes
        from tbar_ray.stages.defender_images import defenders_clean_images
        from tbar_ray.stages.runtime import device_for

        store, scorer, device = context.store, self.path.infected, device_for(context.policy)
        content: dict[str, Any] = {}
        with subject_of(scorer, self.path, store, device) as subject:
            if subject is not None:
                data, preprocess = scorer.open_data(store), subject.preprocess
                trigger = scorer.backdoor.build(store)

                def clean() -> NormalisedImages:
                    images = defenders_clean_images(store, self.path.unlearn, self.path.statistics_images, preprocess)
                    return statistics_batches(images, preprocess, device)

                material = Material(
                    scorer.model.load(store, torch.device("cpu")).state_dict(),
                    scorer.load_split(data, "validation", trigger, preprocess),
                    len(data.classnames),
                    preprocess,
                    self._task(store),
                )
                found = score_changes(subject.model, self.changes, material, subject.score_with, clean)
                content = {name: scores.to_dict() for name, scores in found.items()}
        (context.out / DOWNSTREAM).write_text(json.dumps(content, indent=1))
        return {}

    def _task(self, store: Store) -> TaskVector | None:
        """The vector of the other task."""
        import torch

        from tbar_ray.models.task_vector import TaskVector

        if self.another is None:
            return None
        assert isinstance(self.another.clean, ModelNode)
        start, end = (node.load(store, torch.device("cpu")).state_dict() for node in (self.another.clean, self.another))
        return TaskVector.between(start, end)
