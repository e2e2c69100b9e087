"""Optimising a learned trigger's patch against the clean model, before anything is poisoned (BadCLIP)."""

from __future__ import annotations

import json
from typing import Any, ClassVar

from tbar_ray.errors import DataError
from tbar_ray.spec.attack import Patch
from tbar_ray.stages.backdoor import PIXELS
from tbar_ray.stages.data import Located
from tbar_ray.stages.models import ModelNode
from tbar_ray.stages.node import Node, Stage, StageContext
from tbar_ray.stages.samples import open_corpus
from tbar_ray.stages.training import progress_of


class OptimisePatch(Stage):
    """The patch of a learned trigger; its artifact holds the trigger parameters that it gives."""

    kind: ClassVar[str] = "patch"
    trains: ClassVar[bool] = True
    version: ClassVar[int] = 2
    on_model: ClassVar[bool] = True

    clean: Node
    corpus: Node
    trigger: str
    parameters: dict[str, Any]
    target: str
    options: Patch
    seed: int
    on_error: str

    @property
    def title(self) -> str:
        """The trigger and the target."""
        return f"optimise the patch of {self.trigger} towards {self.target}"

    @property
    def work(self) -> int:
        """Images that the patch is stamped on, in all epochs."""
        return self.options.pairs * int(self.options.parameters.get("epochs", 50))

    def run(self, context: StageContext) -> dict[str, Any]:
        """Stream pairs without the target, and optimise the patch on them."""
        import numpy as np
        import torch

        from tbar_ray.data.images import load_image
        from tbar_ray.data.selection import mentions, ranked, readable, take
        from tbar_ray.evaluation.class_prompts import openai_templates
        from tbar_ray.models.factory import preprocessing
        from tbar_ray.models.tokenizer import build_tokenizer
        from tbar_ray.planting.badclip import PatchOptimisation, optimise_patch
        from tbar_ray.stages.runtime import device_for
        from tbar_ray.streaming.options import ReaderOptions
        from tbar_ray.streaming.order import Order
        from tbar_ray.streaming.stream import ShardStream
        from tbar_ray.triggers.registry import build_trigger

        assert isinstance(self.corpus, Located)
        assert isinstance(self.clean, ModelNode)
        corpus, _ = open_corpus(self.corpus, context.store, self.on_error)
        order = ranked(corpus.keys, self.seed, "patch pairs")

        def names_target(key: str) -> bool:
            return mentions(corpus.caption(corpus.index_of(key)) or "", self.target)

        def usable(key: str) -> bool:
            return readable(corpus, corpus.index_of(key))

        others = take(order, self.options.pairs, accept=lambda key: not names_target(key) and usable(key))
        shown = take(order, self.options.target_images, accept=lambda key: names_target(key) and usable(key))
        if not others or not shown:
            raise DataError(
                f"patch: {len(others)} pairs without and {len(shown)} with the target {self.target!r} in their "
                f"caption; both are needed"
            )
        model = self.clean.load(context.store, device_for(context.policy))
        preprocess = preprocessing(model)
        options = PatchOptimisation(**self.options.parameters)
        stream = ShardStream(
            corpus,
            Order(np.array(sorted(corpus.index_of(key) for key in others)), self.seed),
            ReaderOptions(self.architecture, preprocess.size, preprocess.interpolation),
            batch_size=options.batch_size,
            epochs=options.epochs,
            readers=context.policy.readers,
            policy=self.on_error,  # type: ignore[arg-type]
        )
        images = [
            load_image(corpus.image_bytes(corpus.index_of(key)), preprocess.size, preprocess.interpolation)
            for key in shown
        ]
        prompts = [template.replace("{c}", self.target) for template in openai_templates()]
        trigger = build_trigger(self.trigger, self.parameters, self.seed)
        with stream:
            found = optimise_patch(
                model,
                ((batch.images.contiguous(), batch.tokens) for batch in stream),
                torch.from_numpy(np.stack(images)),
                build_tokenizer(self.architecture)(prompts),
                preprocess,
                trigger,  # type: ignore[arg-type]
                options,
                seed=self.seed,
                total_steps=stream.total_steps,
                progress=progress_of(context.report),
            )
        learned = trigger.with_pixels(found.pixels)  # type: ignore[attr-defined]
        changed = {name: value for name, value in learned.model_dump().items() if value != trigger.model_dump()[name]}
        (context.out / PIXELS).write_text(json.dumps(changed))
        return {"loss_curve": found.losses, "seconds": found.seconds, "pairs": len(others), "target_images": len(shown)}

    @property
    def architecture(self) -> str:
        """The clean model's architecture, by its open_clip name."""
        assert isinstance(self.clean, ModelNode)
        return self.clean.architecture
