"""Finding the edit that an unlearning method makes (for TBAR: the trigger vector)."""

from __future__ import annotations

import json
from typing import Any, ClassVar

from tbar_ray.stages.backdoor import Backdoor
from tbar_ray.stages.data import Located
from tbar_ray.stages.evaluate import AttackGate
from tbar_ray.stages.models import ModelNode
from tbar_ray.stages.node import Node, Stage, StageContext
from tbar_ray.stages.poison import InfectedModel
from tbar_ray.stages.training import progress_of


class Unlearn(Stage):
    """A method run on what the defender has; the artifact holds its edit and the keys of the samples."""

    kind: ClassVar[str] = "vector"
    version: ClassVar[int] = 5
    insignificant: ClassVar[frozenset[str]] = frozenset({"gpus", "attack"})

    gate: AttackGate
    model: ModelNode
    """The model that is unlearned: the infected one, or what it was merged into."""
    infected: InfectedModel
    attack: str
    """The attack's name in the spec, for tables only."""
    backdoor: Backdoor
    evaluation: Node
    templates: str
    method: str
    parameters: dict[str, Any]
    forget_size: int
    """0 for a method that needs no forget set; so for the two below."""
    clean_fraction: float
    clean_pairs: int
    training_pairs: int
    knows: tuple[str, ...]
    seed: int

    @property
    def title(self) -> str:
        """Return method, attack and what the defender has."""
        images = self.forget_size + self.clean_pairs + self.training_pairs
        clean = f", {self.clean_fraction:.0%} clean" if self.forget_size else ""
        return f"{self.method}: {self.attack}, {images} images{clean}"

    @property
    def work(self) -> int:
        """Return the images that unlearning sees, where the method says it by steps and batch size."""
        from tbar_ray.unlearning.registry import build_unlearner

        method = build_unlearner(self.method, self.parameters)
        steps, batch = getattr(method, "steps", 0), getattr(method, "batch_size", 0)
        return int(steps * min(batch, self.forget_size or self.clean_pairs or self.training_pairs))

    def run(self, context: StageContext) -> dict[str, Any]:
        """Read what the defender has and run the method."""
        from tbar_ray.data.evaluation_set import EvaluationSet
        from tbar_ray.stages.defender import DefenderReader
        from tbar_ray.stages.memory import PeakMemory
        from tbar_ray.stages.runtime import device_for, head_of
        from tbar_ray.unlearning.edit import Edit
        from tbar_ray.unlearning.registry import build_unlearner

        assert isinstance(self.evaluation, Located)
        data = EvaluationSet.open(self.evaluation.url(context.store))
        model = self.model.load(context.store, device_for(self.gpus))
        head, preprocess = head_of(model, self.model.architecture, data, self.templates)  # type: ignore[arg-type]
        reader = DefenderReader(context.store, self.infected, self.backdoor, data, preprocess, self.seed)
        held = reader.data(
            reader.classes(head, self.templates),
            reader.plan(self.forget_size, self.clean_fraction) if self.forget_size else None,
            self.clean_pairs,
            self.training_pairs,
            frozenset(self.knows),
        )
        with PeakMemory(device_for(self.gpus)) as memory:
            result = build_unlearner(self.method, self.parameters).unlearn(
                model, held, preprocess, self.seed, progress_of(context.report)
            )
        Edit(result.vector, result.head, result.prompts).save(context.out)
        (context.out / "samples.json").write_text(json.dumps(reader.keys, indent=1))
        return {
            "training": result.record.to_dict(),
            "peak_memory": memory.peak,
            "data": held.counts,
            "norm": result.vector.norm(),
            "integer_buffers": list(result.vector.integer_buffers),
            "method": dict(result.facts),
        }
