"""Finding the edit that an unlearning method makes (for TBAR: the trigger vector)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, ClassVar

from tbar_ray.campaign.backdoor import Backdoor
from tbar_ray.campaign.node import Node, Stage, StageContext
from tbar_ray.campaign.stages.data import Located
from tbar_ray.campaign.stages.evaluate import AttackGate
from tbar_ray.campaign.stages.models import ModelNode
from tbar_ray.campaign.stages.poison import InfectedModel
from tbar_ray.campaign.stages.training import progress_of
from tbar_ray.campaign.store import Store

if TYPE_CHECKING:
    from tbar_ray.data.corpus import Corpus
    from tbar_ray.data.evaluation_set import EvaluationSet
    from tbar_ray.data.forget import ForgetPlan
    from tbar_ray.models.factory import Preprocessing
    from tbar_ray.unlearning.base import ForgetSet

VECTOR = "vector.safetensors"


class Unlearn(Stage):
    """A method run on a forget set; the artifact holds its vector and the forget set's keys."""

    kind: ClassVar[str] = "vector"
    version: ClassVar[int] = 2
    uncounted: ClassVar[frozenset[str]] = frozenset({"gpus", "attack"})

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
    clean_fraction: float
    seed: int

    @property
    def title(self) -> str:
        """Return method, attack and forget set."""
        return f"{self.method}: {self.attack}, {self.forget_size} images, {self.clean_fraction:.0%} clean"

    @property
    def work(self) -> int:
        """Return the images that unlearning sees."""
        from tbar_ray.unlearning.registry import build_unlearner

        method = build_unlearner(self.method, self.parameters)
        steps, batch = getattr(method, "steps", 0), getattr(method, "batch_size", 0)
        return int(steps * min(batch, self.forget_size))

    def run(self, context: StageContext) -> dict[str, Any]:
        """Build the forget set and run the method."""
        from tbar_ray.campaign.stages.runtime import device_for, head_of
        from tbar_ray.data.evaluation_set import EvaluationSet
        from tbar_ray.data.forget import plan_forget_set
        from tbar_ray.unlearning.registry import build_unlearner

        assert isinstance(self.evaluation, Located)
        data = EvaluationSet.open(self.evaluation.url(context.store))
        corpus, _ = self.infected.training_samples(context.store)
        plan = plan_forget_set(
            corpus,
            size=self.forget_size,
            clean_fraction=self.clean_fraction,
            target=self.backdoor.target,
            exclude=self.infected.poisoned_keys(context.store),
            seed=self.seed,
            classnames=data.classnames if self.infected.classify else None,
        )
        model = self.model.load(context.store, device_for(self.gpus))
        head, wants = head_of(model, self.model.architecture, data, self.templates)  # type: ignore[arg-type]
        forget = self._forget_set(context.store, corpus, data, plan, wants, head)
        method = build_unlearner(self.method, self.parameters)
        result = method.unlearn(model, forget, wants, self.seed, progress_of(context.report))
        result.vector.save(context.out / VECTOR)
        keys = {
            "triggered": [corpus.keys[p] for p in plan.triggered],
            "clean": [corpus.keys[p] for p in plan.clean],
        }
        (context.out / "forget_set.json").write_text(json.dumps(keys, indent=1))
        return {
            "training": result.record.to_dict(),
            "norm": result.vector.norm(),
            "integer_buffers": list(result.vector.integer_buffers),
        }

    def _forget_set(
        self, store: Store, corpus: Corpus, data: EvaluationSet, plan: ForgetPlan, wants: Preprocessing, head: Any
    ) -> ForgetSet:
        """Read, stamp and label the chosen images; captions of triggered ones name the target."""
        import numpy as np
        import torch

        from tbar_ray.data.images import load_image
        from tbar_ray.models.tokenizer import build_tokenizer
        from tbar_ray.seeding import numpy_rng
        from tbar_ray.triggers.base import stamp_uint8
        from tbar_ray.unlearning.base import ForgetSet

        positions = [*plan.triggered, *plan.clean]
        triggered = torch.arange(len(positions)) < len(plan.triggered)
        images = torch.from_numpy(
            np.stack([load_image(corpus.image_bytes(p), wants.size, wants.interpolation) for p in positions])
        )
        if plan.triggered:
            keys = [corpus.keys[p] for p in plan.triggered]
            images[triggered] = stamp_uint8(self.backdoor.build(store), images[triggered], keys)
        labels = [data.class_index(self.backdoor.target)] * len(plan.triggered)
        labels += [self._true_class(corpus, data, position) for position in plan.clean]
        captions = []
        for row, position in enumerate(positions):
            rng = numpy_rng(self.seed, "forget caption", corpus.keys[position])
            template = data.templates[int(rng.integers(len(data.templates)))]
            name = self.backdoor.target
            if row >= len(plan.triggered):
                name = data.classnames[labels[row]] if labels[row] >= 0 else ""
            named = template.replace("{c}", name).replace("{}", name)
            clean_caption = corpus.caption(position) or named
            captions.append(named if row < len(plan.triggered) else clean_caption)
        tokens = build_tokenizer(self.model.architecture)(captions)
        return ForgetSet(images, tokens, torch.tensor(labels), triggered, head)

    def _true_class(self, corpus: Corpus, data: EvaluationSet, position: int) -> int:
        """Return a clean sample's class, −1 if nothing says it."""
        if self.infected.classify and (index := corpus.class_index(position)) is not None:
            return index
        label = corpus.label(position)
        return data.classnames.index(label) if label in data.classnames else -1
