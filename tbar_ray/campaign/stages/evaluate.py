"""Scoring a model on both splits, and the gate: an attack that did not take is reported before any defence."""

from __future__ import annotations

import json
from typing import Any, ClassVar

from tbar_ray.campaign.backdoor import Backdoor
from tbar_ray.campaign.node import Node, Stage, StageContext
from tbar_ray.campaign.stages.data import Located
from tbar_ray.campaign.stages.models import ModelNode
from tbar_ray.errors import ScientificError

SCORES = "scores.json"


class Evaluate(Stage):
    """CA, ASR and PA of one model against one backdoor, on the validation and the test split."""

    kind: ClassVar[str] = "scores"
    uncounted: ClassVar[frozenset[str]] = frozenset({"gpus", "role"})

    role: str
    """'clean' or 'infected', for tables only."""
    model: Node
    evaluation: Node
    backdoor: Backdoor
    validation_fraction: float
    max_images: int | None
    split_seed: int

    @property
    def title(self) -> str:
        """Return what is scored."""
        return f"score the {self.role} model ({self.backdoor.trigger})"

    def run(self, context: StageContext) -> dict[str, Any]:
        """Score both splits."""
        from tbar_ray.campaign.stages.runtime import Splits, device_for, head_of, load_split
        from tbar_ray.data.evaluation_set import EvaluationSet
        from tbar_ray.evaluation.scores import score

        assert isinstance(self.model, ModelNode)
        assert isinstance(self.evaluation, Located)
        data = EvaluationSet.open(self.evaluation.url(context.store))
        target = data.class_index(self.backdoor.target)
        model = self.model.load(context.store, device_for(self.gpus))
        head, wants = head_of(model, self.model.architecture, data)
        splits = Splits(self.validation_fraction, self.max_images, self.split_seed)
        scores = {}
        for done, name in enumerate(("validation", "test"), start=1):
            split = load_split(data, splits, name, self.backdoor, wants)
            scores[name] = score(model, head, split, target, wants).to_dict()
            context.report({"done": done, "total": 2})
        (context.out / SCORES).write_text(json.dumps(scores, indent=1))
        return {}


class AttackGate(Stage):
    """Passes only if the infected model answers with the target and is otherwise intact (validation split)."""

    kind: ClassVar[str] = "gate"

    clean: Evaluate
    infected: Evaluate
    min_asr: float
    max_ca_drop: float

    @property
    def title(self) -> str:
        """Return what is checked."""
        return f"did the attack take ({self.infected.backdoor.trigger})"

    def run(self, context: StageContext) -> dict[str, Any]:
        """Compare; raise ScientificError if the attack did not take."""
        scores = {
            role: json.loads((context.store.fetch(stage.artifact) / SCORES).read_text())["validation"]
            for role, stage in (("clean", self.clean), ("infected", self.infected))
        }
        asr, ca = scores["infected"]["asr"]["value"], scores["infected"]["ca"]["value"]
        clean_ca, clean_asr = scores["clean"]["ca"]["value"], scores["clean"]["asr"]["value"]
        if asr < self.min_asr:
            raise ScientificError(
                f"attack did not take: ASR {asr:.1%} of the infected model is below poison.min_asr "
                f"{self.min_asr:.0%} (clean model: {clean_asr:.1%}); raise poison.rate, epochs or learning rate"
            )
        if clean_ca - ca > self.max_ca_drop:
            raise ScientificError(
                f"attack broke the model: CA fell from {clean_ca:.1%} to {ca:.1%}, more than "
                f"poison.max_ca_drop {self.max_ca_drop:.1%}; lower the poisoning learning rate"
            )
        return {"asr": asr, "ca": ca}
