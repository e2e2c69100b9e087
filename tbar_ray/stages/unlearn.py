"""Finding the edit that an unlearning method makes (for TBAR: the trigger vector)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from tbar_ray.later import LATER
from tbar_ray.stages.backdoor import Backdoor
from tbar_ray.stages.evaluate import AttackGate
from tbar_ray.stages.infected import InfectedNode
from tbar_ray.stages.models import ModelNode
from tbar_ray.stages.node import INSIGNIFICANT, Node, Stage, StageContext
from tbar_ray.stages.training import progress_of
from tbar_ray.store.store import Store

SAMPLES = "samples.json"
"""Keys of the samples that the defender holds, by their use."""

if TYPE_CHECKING:
    import torch
    from torch import nn

    from tbar_ray.models.factory import Preprocessing
    from tbar_ray.unlearning.base import Unlearned, Unlearner
    from tbar_ray.unlearning.defender import DefenderData


class Unlearn(Stage):
    """A method run on the defender's data; the artifact holds its edit and the keys of the samples."""

    kind: ClassVar[str] = "vector"
    trains: ClassVar[bool] = True
    version: ClassVar[int] = 8
    on_model: ClassVar[bool] = True

    gate: AttackGate
    model: ModelNode
    """The model that is unlearned: the infected one, or what it was merged into."""
    infected: InfectedNode
    attack: Annotated[str, INSIGNIFICANT]
    """The attack's name in the spec, for tables only."""
    backdoor: Backdoor
    evaluation: Node
    templates: Literal["evaluation", "openai"]
    method: str
    parameters: dict[str, Any]
    forget_size: int
    """0 for a method that needs no forget set; likewise for the next two fields."""
    clean_fraction: float
    clean_pairs: int
    training_pairs: int
    knows: tuple[str, ...]
    seed: int
    start: Annotated[Unlearn | None, LATER] = None
    """The method's base on the same data, for a method that has one."""

    @property
    def title(self) -> str:
        """Method, attack, number of the defender's images, and the clean share of a forget set."""
        images = self.forget_size + self.clean_pairs + self.training_pairs
        clean = f", {self.clean_fraction:.0%} clean" if self.forget_size else ""
        return f"{self.method}: {self.attack}, {images} images{clean}"

    @property
    def work(self) -> int:
        """Images that unlearning sees, where the method's steps and batch size tell; else, or with a base, 0."""
        if self.start is not None:
            return 0
        from tbar_ray.unlearning.registry import build_unlearner

        method = build_unlearner(self.method, self.parameters)
        steps, batch = getattr(method, "steps", 0), getattr(method, "batch_size", 0)
        return int(steps * min(batch, self.forget_size or self.clean_pairs or self.training_pairs))

    def run(self, context: StageContext) -> dict[str, Any]:
        """Read the defender's data and run the method."""
        from tbar_ray.models.factory import preprocessing
        from tbar_ray.stages.kept import kept_model
        from tbar_ray.stages.memory import PeakMemory
        from tbar_ray.stages.runtime import device_for
        from tbar_ray.unlearning.registry import build_unlearner

        device = device_for(context.policy)
        model = kept_model(self.model, context.store, device)
        preprocess = preprocessing(model)
        unlearner = build_unlearner(self.method, self.parameters)
        held, keys = self._defender(unlearner, context.store, model, preprocess, device)
        before = [] if self.start is None else [self.start]
        found = next((_found(stage, context.store, model) for stage in before), None)
        with PeakMemory(device) as memory:
            result = unlearner.unlearn(model, held, preprocess, self.seed, progress_of(context.report), found)
        result.edit.save(context.out)
        (context.out / SAMPLES).write_text(json.dumps(keys, indent=1))
        return {
            "training": result.record.to_dict(),
            "peak_memory": max([memory.peak, *(_facts(stage, context.store)["peak_memory"] for stage in before)]),
            "data": held.counts,
            "norm": result.edit.vector.norm(),
            "integer_buffers": list(result.edit.vector.integer_buffers),
            "method": dict(result.facts),
        }

    def _defender(
        self, unlearner: Unlearner, store: Store, model: nn.Module, preprocess: Preprocessing, device: torch.device
    ) -> tuple[DefenderData, dict[str, list[str]]]:
        """The defender's data; from the cache if this process has read the same for another trial."""
        from tbar_ray.evaluation.class_prompts import ClassPrompts
        from tbar_ray.stages.defender import Holdings, read_defender
        from tbar_ray.stages.kept import kept
        from tbar_ray.stages.samples import open_evaluation
        from tbar_ray.unlearning.reader import labelled_sets

        labelled = labelled_sets(unlearner, self.clean_fraction)

        def read() -> tuple[DefenderData, dict[str, list[str]]]:
            data = open_evaluation(self.evaluation, store)
            prompts = ClassPrompts.of(data, self.model.architecture, self.templates)
            holdings = Holdings(
                self.forget_size, self.clean_fraction, self.clean_pairs, self.training_pairs, self.knows, labelled
            )
            return read_defender(
                store,
                self.infected,
                self.backdoor,
                holdings,
                self.seed,
                data,
                prompts,
                prompts.head(model),
                preprocess,
            )

        whatever_method = {
            name: value for name, value in self.identity().items() if name not in ("method", "parameters", "start")
        }
        return kept().get(
            ("defender", str(device), tuple(sorted(labelled)), json.dumps(whatever_method, sort_keys=True)), read
        )


def _facts(stage: Unlearn, store: Store) -> dict[str, Any]:
    facts: dict[str, Any] = store.facts(stage.artifact)["facts"]
    return facts


def _found(stage: Unlearn, store: Store, model: nn.Module) -> Unlearned:
    """What a stage found, as its method returned it."""
    from tbar_ray.models.task_vector import TaskVector
    from tbar_ray.training.record import TrainingRecord
    from tbar_ray.unlearning.base import Unlearned
    from tbar_ray.unlearning.edit import Edit

    facts, edit = _facts(stage, store), Edit.load(store.fetch(stage.artifact))
    vector = TaskVector(edit.vector.tensors, tuple(facts["integer_buffers"])).like(model.state_dict())
    return Unlearned(Edit(vector), TrainingRecord.from_dict(facts["training"]), facts["method"])
