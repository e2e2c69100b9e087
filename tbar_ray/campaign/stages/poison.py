"""The attack: fine-tune the clean model on pairs of which some are poisoned."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from tbar_ray.campaign.backdoor import Backdoor
from tbar_ray.campaign.node import Node, Stage, StageContext
from tbar_ray.campaign.spec import Training
from tbar_ray.campaign.stages.data import Located
from tbar_ray.campaign.stages.models import ModelNode
from tbar_ray.campaign.stages.training import WEIGHTS, train_on_shards
from tbar_ray.campaign.store import Store

if TYPE_CHECKING:
    from pathlib import Path

    from tbar_ray.data.corpus import Corpus
    from tbar_ray.data.poison import PoisonPlan

MANIFEST = "manifest.json"
EXAMPLES = "examples.npz"
SHOWN_EXAMPLES = 8


class InfectedModel(Stage, ModelNode):
    """The infected model θ_b, with its poison manifest and a few stamped examples."""

    kind: ClassVar[str] = "infected-model"
    uncounted: ClassVar[frozenset[str]] = frozenset({"gpus", "readers", "attack", "samples"})

    attack: str
    """The attack's name in the spec, for tables only."""
    clean: Node
    corpus: Node
    evaluation: Node
    backdoor: Backdoor
    rate: float | None
    count: int | None
    pairs: int | None
    captions: Literal["openai", "evaluation"]
    training: Training
    seed: int
    on_error: str
    readers: int
    samples: int | None = None

    @property
    def title(self) -> str:
        """Return the attack and how much is poisoned."""
        amount = f"{self.rate:.2%}" if self.rate is not None else f"{self.count}"
        return f"plant {self.attack} ({amount} poisoned, seed {self.seed})"

    @property
    def work(self) -> int:
        """Return the images that training sees."""
        return (self.pairs or self.samples or 0) * self.training.epochs

    def pretrained(self, store: Store) -> str:
        """Return the artifact's weights."""
        return str(store.fetch(self.artifact) / WEIGHTS)

    def run(self, context: StageContext) -> dict[str, Any]:
        """Plan the poison, write the manifest, train."""
        import numpy as np

        from tbar_ray.campaign.stages.runtime import device_for
        from tbar_ray.data.corpus import Corpus
        from tbar_ray.data.evaluation_set import EvaluationSet
        from tbar_ray.data.poison import plan_poison
        from tbar_ray.data.selection import ranked
        from tbar_ray.streaming.reader import Poison

        assert isinstance(self.corpus, Located)
        assert isinstance(self.evaluation, Located)
        assert isinstance(self.clean, ModelNode)
        corpus = Corpus.open(self.corpus.url(context.store), policy=self.on_error)  # type: ignore[arg-type]
        data = EvaluationSet.open(self.evaluation.url(context.store))
        target_index = data.class_index(self.backdoor.target)
        positions = np.arange(len(corpus))
        if self.pairs is not None and self.pairs < len(corpus):
            kept = ranked(corpus.keys, self.seed, "training pairs")[: self.pairs]
            positions = np.array(sorted(corpus.index_of(key) for key in kept))
        count = self.count if self.count is not None else round((self.rate or 0) * len(positions))
        plan = plan_poison(
            corpus,
            positions.tolist(),
            count=count,
            target=self.backdoor.target,
            templates=self._templates(data),
            seed=self.seed,
        )
        trigger = {"name": self.backdoor.trigger, **self.backdoor.parameters, "seed": self.backdoor.seed}
        manifest = plan.manifest(trigger, target_index)
        (context.out / MANIFEST).write_text(json.dumps(manifest, indent=1))
        model = self.clean.load(context.store, device_for(self.gpus))
        facts = train_on_shards(
            context,
            model,
            self.architecture,
            corpus,
            positions,
            self.training,
            seed=self.seed,
            readers=self.readers,
            policy=self.on_error,
            poison=Poison(self.backdoor.trigger, self.backdoor.parameters, self.backdoor.seed, plan.captions),
        )
        self._write_examples(context.out, corpus, plan, int(model.visual.preprocess_cfg["size"]))  # type: ignore[union-attr,index]
        return {**facts, "poisoned": count, "pairs": len(positions)}

    def _templates(self, data: Any) -> tuple[str, ...]:
        if self.captions == "evaluation":
            return tuple(data.templates)
        from tbar_ray.models.library import open_clip

        return tuple(template("{c}") for template in open_clip().OPENAI_IMAGENET_TEMPLATES)

    def _write_examples(self, out: Path, corpus: Corpus, plan: PoisonPlan, size: int) -> None:
        """Keep a few poisoned pairs, clean and stamped, to be looked at."""
        import numpy as np
        import torch

        from tbar_ray.data.images import load_image
        from tbar_ray.triggers.base import stamp_uint8
        from tbar_ray.triggers.registry import build_trigger

        shown = plan.samples[:SHOWN_EXAMPLES]
        clean = np.stack([load_image(corpus.image_bytes(s.position), size) for s in shown])
        trigger = build_trigger(self.backdoor.trigger, self.backdoor.parameters, self.backdoor.seed)
        stamped = stamp_uint8(trigger, torch.from_numpy(clean), [s.key for s in shown]).numpy()
        captions = np.array([[s.old_caption, s.new_caption] for s in shown])
        np.savez_compressed(out / EXAMPLES, clean=clean, triggered=stamped, captions=captions)
