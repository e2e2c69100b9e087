"""The path of α: every scaling coefficient on validation, the selected one on test."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import Any, ClassVar

from tbar_ray.campaign.node import Stage, StageContext
from tbar_ray.campaign.stages.data import Located
from tbar_ray.campaign.stages.evaluate import SCORES, Evaluate
from tbar_ray.campaign.stages.unlearn import VECTOR, Unlearn

PATH = "path.json"


@dataclass(frozen=True)
class _Point:
    alpha: float
    ca: float
    asr: float


class AlphaPath(Stage):
    """One resident model moved along one vector; the end of a trial."""

    kind: ClassVar[str] = "path"

    unlearn: Unlearn
    infected: Evaluate
    alphas: tuple[float, ...]
    min_retention: float
    max_asr: float | None

    @property
    def title(self) -> str:
        """Return the trial's cell."""
        several = f"{len(self.alphas)} α" if len(self.alphas) > 1 else f"α {self.alphas[0]:g}"
        return f"{several} of {self.unlearn.title}"

    def run(self, context: StageContext) -> dict[str, Any]:
        """Score every α on validation, select, and score the selected one on test."""
        from tbar_ray.campaign.stages.runtime import Splits, device_for, head_of, load_split
        from tbar_ray.data.evaluation_set import EvaluationSet
        from tbar_ray.evaluation.scores import score
        from tbar_ray.evaluation.selection import select
        from tbar_ray.models.task_vector import ResidentModel, TaskVector
        from tbar_ray.unlearning.registry import build_unlearner

        started = time.perf_counter()
        backdoor, evaluation = self.infected.backdoor, self.infected.evaluation
        assert isinstance(evaluation, Located)
        data = EvaluationSet.open(evaluation.url(context.store))
        target = data.class_index(backdoor.target)
        infected = self.unlearn.infected
        model = infected.load(context.store, device_for(self.gpus))
        vector = TaskVector.load(context.store.fetch(self.unlearn.artifact) / VECTOR)
        method = build_unlearner(self.unlearn.method, self.unlearn.parameters)
        resident = ResidentModel(model, vector)
        head, wants = head_of(model, infected.architecture, data)
        splits = Splits(self.infected.validation_fraction, self.infected.max_images, self.infected.split_seed)

        def scored(alpha: float, split: Any) -> dict[str, Any]:
            with resident.moved(method.coefficient(alpha)) as moved:
                # an edit of the text tower moves the class embeddings too
                own = head_of(moved, infected.architecture, data)[0] if resident.moves_text else head
                return {"alpha": alpha, **score(moved, own, split, target, wants).to_dict()}

        validation = load_split(data, splits, "validation", backdoor, wants)
        path = []
        for done, alpha in enumerate(self.alphas, start=1):
            path.append(scored(alpha, validation))
            context.report({"done": done, "total": len(self.alphas)})
        before = json.loads((context.store.fetch(self.infected.artifact) / SCORES).read_text())
        reference = before["validation"]["ca"]["value"]
        points = [_Point(p["alpha"], p["ca"]["value"], p["asr"]["value"]) for p in path]
        chosen = select(points, reference, self.min_retention, self.max_asr)
        # a single α was asked for by a search or a person: it is reported, feasible or not
        reported = chosen or (points[0] if len(points) == 1 else None)
        test = scored(reported.alpha, load_split(data, splits, "test", backdoor, wants)) if reported else None
        result = {
            "path": path,
            "selected": reported.alpha if reported else None,
            "feasible": chosen is not None,
            "reference_ca": reference,
            "test": test,
        }
        (context.out / PATH).write_text(json.dumps(result, indent=1))
        return {"seconds": time.perf_counter() - started}
