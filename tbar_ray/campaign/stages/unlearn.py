"""Finding the edit that an unlearning method makes (for TBAR: the trigger vector)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, ClassVar

from tbar_ray.campaign.node import Node, Stage, StageContext
from tbar_ray.campaign.stages.data import Located
from tbar_ray.campaign.stages.evaluate import AttackGate
from tbar_ray.campaign.stages.poison import MANIFEST, InfectedModel
from tbar_ray.campaign.stages.training import progress_of

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

    gate: AttackGate
    infected: InfectedModel
    corpus: Node
    evaluation: Node
    method: str
    parameters: dict[str, Any]
    forget_size: int
    clean_fraction: float
    seed: int

    @property
    def title(self) -> str:
        """Return method, attack and forget set."""
        return f"{self.method}: {self.infected.attack}, {self.forget_size} images, {self.clean_fraction:.0%} clean"

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
        from tbar_ray.data.corpus import Corpus
        from tbar_ray.data.evaluation_set import EvaluationSet
        from tbar_ray.data.forget import plan_forget_set
        from tbar_ray.unlearning.registry import build_unlearner

        assert isinstance(self.corpus, Located)
        assert isinstance(self.evaluation, Located)
        corpus = Corpus.open(self.corpus.url(context.store))
        data = EvaluationSet.open(self.evaluation.url(context.store))
        manifest = json.loads((context.store.fetch(self.infected.artifact) / MANIFEST).read_text())
        plan = plan_forget_set(
            corpus,
            size=self.forget_size,
            clean_fraction=self.clean_fraction,
            target=self.infected.backdoor.target,
            exclude=frozenset(sample["key"] for sample in manifest["samples"]),
            seed=self.seed,
        )
        model = self.infected.load(context.store, device_for(self.gpus))
        head, wants = head_of(model, self.infected.architecture, data)
        forget = self._forget_set(corpus, data, plan, wants, head)
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
        self, corpus: Corpus, data: EvaluationSet, plan: ForgetPlan, wants: Preprocessing, head: Any
    ) -> ForgetSet:
        """Read, stamp and label the chosen images; captions of triggered ones name the target."""
        import numpy as np
        import torch

        from tbar_ray.data.images import load_image
        from tbar_ray.models.tokenizer import build_tokenizer
        from tbar_ray.seeding import numpy_rng
        from tbar_ray.triggers.base import stamp_uint8
        from tbar_ray.triggers.registry import build_trigger
        from tbar_ray.unlearning.base import ForgetSet

        backdoor = self.infected.backdoor
        positions = [*plan.triggered, *plan.clean]
        triggered = torch.arange(len(positions)) < len(plan.triggered)
        images = torch.from_numpy(
            np.stack([load_image(corpus.image_bytes(p), wants.size, wants.interpolation) for p in positions])
        )
        trigger = build_trigger(backdoor.trigger, backdoor.parameters, backdoor.seed)
        if plan.triggered:
            keys = [corpus.keys[p] for p in plan.triggered]
            images[triggered] = stamp_uint8(trigger, images[triggered], keys)
        target = data.class_index(backdoor.target)
        names = {name: index for index, name in enumerate(data.classnames)}
        labels = [target] * len(plan.triggered)
        labels += [names.get(corpus.label(p) or "", -1) for p in plan.clean]
        captions = []
        for row, position in enumerate(positions):
            rng = numpy_rng(self.seed, "forget caption", corpus.keys[position])
            template = data.templates[int(rng.integers(len(data.templates)))]
            named = template.replace("{c}", backdoor.target).replace("{}", backdoor.target)
            captions.append(named if row < len(plan.triggered) else corpus.caption(position) or "")
        tokens = build_tokenizer(self.infected.architecture)(captions)
        return ForgetSet(images, tokens, torch.tensor(labels), triggered, head)
