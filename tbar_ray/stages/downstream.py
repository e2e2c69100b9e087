"""What is left of a cleaning once people compress the model, average it with its past, or classify its features."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

from tbar_ray.lasting.options import ChangeName
from tbar_ray.stages.alpha_path import AlphaPath
from tbar_ray.stages.evaluate import AttackGate, Evaluate
from tbar_ray.stages.infected import InfectedNode
from tbar_ray.stages.models import ModelNode
from tbar_ray.stages.node import Stage, StageContext
from tbar_ray.stages.poison import InfectedModel
from tbar_ray.stages.subject import subject_of
from tbar_ray.store.store import Store

if TYPE_CHECKING:
    from torch import Tensor

    from tbar_ray.models.factory import Preprocessing
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
        return _images_scored(self.path.infected, self.changes)

    def run(self, context: StageContext) -> dict[str, Any]:
        """Change and score; an empty file where no α was selected."""
        from tbar_ray.stages.defender_images import defenders_clean_images

        def clean(preprocess: Preprocessing) -> Tensor:
            return defenders_clean_images(context.store, self.path.unlearn, self.path.statistics_images, preprocess)

        scorer = self.path.infected
        _write(context, _scores(context, scorer, scorer.model, self.path, self.changes, self.another, clean))
        return {}


class MeasureReferenceDownstream(Stage):
    """A model that nothing was removed from after the same changes, for comparison: the infected one, or the clean one.

    It is measured once for all methods. Running statistics are re-estimated on images of the corpus that were not
    poisoned.
    """

    kind: ClassVar[str] = "reference-downstream"
    on_model: ClassVar[bool] = True

    gate: AttackGate
    """Where the attack did not take there is nothing to compare."""
    scorer: Evaluate
    """Says which model it is, evaluation set, split and trigger."""
    infected: Evaluate
    """Of the infected model, with which the other is averaged."""
    corpus: InfectedNode
    changes: tuple[ChangeName, ...]
    another: InfectedModel | None = None
    statistics_images: int
    seed: int

    @property
    def title(self) -> str:
        """The number of changes, the model by its role, and the trigger."""
        return (
            f"{len(self.changes)} downstream changes of the {self.scorer.role} model ({self.scorer.backdoor.trigger})"
        )

    @property
    def work(self) -> int:
        """Images scored: the test split for each change; 0 if the set is not limited."""
        return _images_scored(self.scorer, self.changes)

    def run(self, context: StageContext) -> dict[str, Any]:
        """Change and score."""
        from tbar_ray.stages.statistics_images import unpoisoned_images

        def clean(preprocess: Preprocessing) -> Tensor:
            return unpoisoned_images(self.corpus, self.statistics_images, self.seed, context.store, preprocess)

        model = self.infected.model
        _write(context, _scores(context, self.scorer, model, None, self.changes, self.another, clean))
        return {}


def _images_scored(scorer: Evaluate, changes: tuple[ChangeName, ...]) -> int:
    return round(len(changes) * scorer.work * (1 - scorer.validation_fraction))


def _scores(
    context: StageContext,
    scorer: Evaluate,
    infected: ModelNode,
    path: AlphaPath | None,
    changes: tuple[ChangeName, ...],
    another: InfectedModel | None,
    clean: Callable[[Preprocessing], Tensor],
) -> dict[str, Any]:
    """Scores of the scorer's model, or of the same as a path cleaned it, after each change; none without an α."""
    import torch

    from tbar_ray.evaluation.normalised_images import NormalisedImages, statistics_batches
    from tbar_ray.lasting.change import Material
    from tbar_ray.lasting.downstream import score_changes
    from tbar_ray.stages.runtime import device_for

    store, device = context.store, device_for(context.policy)
    with subject_of(scorer, path, store, device) as subject:
        if subject is None:
            return {}
        data, preprocess = scorer.open_data(store), subject.preprocess

        def batches() -> NormalisedImages:
            return statistics_batches(clean(preprocess), preprocess, device)

        material = Material(
            infected.load(store, torch.device("cpu")).state_dict(),
            scorer.load_split(data, "validation", scorer.backdoor.build(store), preprocess),
            len(data.classnames),
            preprocess,
            _task(another, store),
        )
        found = score_changes(subject.model, changes, material, subject.score_with, batches)
        return {name: scores.to_dict() for name, scores in found.items()}


def _write(context: StageContext, content: dict[str, Any]) -> None:
    (context.out / DOWNSTREAM).write_text(json.dumps(content, indent=1))


def _task(another: InfectedModel | None, store: Store) -> TaskVector | None:
    """The vector of the other task."""
    import torch

    from tbar_ray.models.task_vector import TaskVector

    if another is None:
        return None
    assert isinstance(another.clean, ModelNode)
    start, end = (node.load(store, torch.device("cpu")).state_dict() for node in (another.clean, another))
    return TaskVector.between(start, end)
