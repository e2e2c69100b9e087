"""The attack: fine-tune the clean model on samples of which some are poisoned."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from tbar_ray.errors import DataError
from tbar_ray.models.architectures import weights_size
from tbar_ray.models.statistics_choice import STATISTICS_IMAGES
from tbar_ray.spec.attack import PlantingSpec, Training
from tbar_ray.stages.backdoor import Plant
from tbar_ray.stages.infected import InfectedNode
from tbar_ray.stages.models import ModelNode
from tbar_ray.stages.node import INSIGNIFICANT, Node, Policy, Stage, StageContext
from tbar_ray.stages.samples import open_evaluation, order_of
from tbar_ray.stages.shard_training import Streamed, batches_size
from tbar_ray.stages.training import WEIGHTS, contrastive, train_on_shards
from tbar_ray.store.checkpoints import Checkpoints
from tbar_ray.store.store import Store

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor, nn

    from tbar_ray.data.corpus import Corpus
    from tbar_ray.data.evaluation_set import EvaluationSet
    from tbar_ray.data.poison import PoisonPlan
    from tbar_ray.data.poison_manifest import PlantedPoison
    from tbar_ray.models.factory import Preprocessing
    from tbar_ray.streaming.options import Poison
    from tbar_ray.training.objectives import Objective
    from tbar_ray.triggers.base import Trigger

    Samples = tuple[Corpus, NDArray[np.int64]]

EXAMPLES = "examples.npz"
SHOWN_EXAMPLES = 8
TARGET_IMAGES = 64
"""Clean images of the target that an attacker entangles the trigger with."""


class InfectedModel(Stage, InfectedNode):
    """The infected model θ_b, with a manifest of its poison and a few stamped examples.

    On pairs it is trained contrastively; on a task (`classify`) by classification of the training split
    against the frozen zero-shot head, which is the paper's single-task setting. Without plants it is the
    same training on clean samples.

    Running statistics are estimated anew on training images once the weights are final: during training they
    trail behind.
    """

    kind: ClassVar[str] = "infected-model"
    trains: ClassVar[bool] = True
    shared: ClassVar[bool] = True
    version: ClassVar[int] = 4
    on_model: ClassVar[bool] = True
    divisible: ClassVar[bool] = True

    clean: Node
    training: Training
    planting: PlantingSpec
    templates: Literal["evaluation", "openai"]
    shuffle_buffer: int | None = None
    samples: Annotated[int | None, INSIGNIFICANT] = None

    @property
    def title(self) -> str:
        """The attacks with the rate or count that each poisons, the seed, and the planting unless it is standard."""
        if not self.plants:
            return f"fine-tune on clean samples (seed {self.seed})"
        amounts = [f"{p.rate:.2%}" if p.rate is not None else f"{p.count}" for p in self.plants]
        names = ", ".join(f"{plant.attack} {amount}" for plant, amount in zip(self.plants, amounts, strict=True))
        how = "" if self.planting.method == "standard" else f", {self.planting.method}"
        return f"plant {names} (seed {self.seed}{how})"

    @property
    def work(self) -> int:
        """Images that training sees, in all epochs; 0 if the number of samples is unknown."""
        return (self.pairs or self.samples or 0) * self.training.epochs

    def memory(self, policy: Policy) -> int:
        """Those of the model's training, and the batches that are read ahead."""
        return super().memory(policy) + batches_size(self.architecture, self.training.batch_size, policy)

    @property
    def disk(self) -> int:
        """Of the weights, and of a checkpoint with two moments of each."""
        return 4 * weights_size(self.architecture)

    def pretrained(self, store: Store) -> str:
        """Local file of the artifact's weights."""
        return str(store.fetch(self.artifact, WEIGHTS) / WEIGHTS)

    def run(self, context: StageContext) -> dict[str, Any]:
        """Plan the poison, write the manifest, train."""
        from tbar_ray.models.factory import preprocessing
        from tbar_ray.planting.stealth import weight_change
        from tbar_ray.stages.runtime import device_for
        from tbar_ray.streaming.options import Poison

        assert isinstance(self.clean, ModelNode)
        data = open_evaluation(self.evaluation, context.store)
        corpus, positions, weights = self.training_samples(context.store)
        plans = self._plans(corpus, positions, data)
        triggers = [plant.backdoor.build(context.store) for plant in self.plants]
        self._write_manifest(context.out, plans, triggers, data)
        poisons = tuple(
            Poison(trigger, plan.captions, frozenset(plan.cover), data.class_index(plan.target))
            for plan, trigger in zip(plans, triggers, strict=True)
        )
        model = self.clean.load(context.store, device_for(context.policy))
        before = {key: value.detach().clone() for key, value in model.state_dict().items()}
        facts = train_on_shards(
            context,
            Checkpoints(context.store, self.artifact, context.policy.checkpoint_minutes),
            self._objective(model, data, (corpus, positions), triggers),
            self.training,
            Streamed(
                self.architecture,
                corpus,
                order_of(corpus, positions, self.seed, weights, self.shuffle_buffer),
                context.policy.readers,
                self.on_error,
                poisons,
                self.classify,
            ),
            lambda trained: self._reestimate(trained, (corpus, positions), poisons),
        )
        if plans:
            self._write_examples(context.out, corpus, plans, triggers, preprocessing(model).size)
        return {
            **facts,
            "poisoned": sum(len(plan.samples) for plan in plans),
            "pairs": len(positions),
            "weight_change": weight_change(before, model.state_dict()),
        }

    def _reestimate(self, model: nn.Module, samples: Samples, poisons: tuple[Poison, ...]) -> None:
        """Give the trained model the running statistics of its weights on images as it was trained on, unaugmented."""
        from tbar_ray.evaluation.normalised_images import statistics_batches
        from tbar_ray.models.factory import preprocessing
        from tbar_ray.models.statistics import has_statistics, reestimate
        from tbar_ray.stages.statistics_images import draw, images_of
        from tbar_ray.streaming.stamping import Stamping
        from tbar_ray.training.batch import Batch

        if not has_statistics(model):
            return
        (corpus, positions), preprocess = samples, preprocessing(model)
        trained = (corpus.keys[int(position)] for position in positions)
        keys = draw(corpus, trained, STATISTICS_IMAGES, self.seed, "planting statistics")
        images = Stamping(poisons)(Batch(images_of(corpus, keys, preprocess), keys=tuple(keys))).images
        reestimate(model, statistics_batches(images, preprocess, next(model.parameters()).device))

    def poisoned_keys(self, store: Store) -> frozenset[str]:
        """Keys of all changed samples, from the artifact's manifest."""
        from tbar_ray.data.poison_manifest import changed_keys

        return changed_keys(self.planted(store))

    def planted(self, store: Store) -> list[PlantedPoison]:
        """What was planted, one entry for each of `plants`, from the artifact's manifest."""
        from tbar_ray.data.poison_manifest import MANIFEST, read_manifest

        return read_manifest(store.fetch(self.artifact, MANIFEST))

    def _plans(self, corpus: Corpus, positions: NDArray[np.int64], data: EvaluationSet) -> list[PoisonPlan]:
        """Plan every attack; no sample is poisoned twice."""
        from tbar_ray.data.poison import plan_poison
        from tbar_ray.triggers.registry import build_trigger

        plans: list[PoisonPlan] = []
        taken: frozenset[str] = frozenset()
        for plant in self.plants:
            backdoor = plant.backdoor
            count = plant.amount(len(positions))
            cover = build_trigger(backdoor.trigger, backdoor.parameters, backdoor.seed).cover_ratio
            plan = plan_poison(
                corpus,
                positions.tolist(),
                count=count,
                target=backdoor.target,
                templates=self._captions(plant, corpus, positions, data),
                seed=self.seed,
                poisoning=plant.poisoning,
                cover_count=round(cover * count),
                classnames=data.classnames if self.classify else None,
                exclude=taken,
            )
            taken |= plan.keys
            plans.append(plan)
        return plans

    def _captions(
        self, plant: Plant, corpus: Corpus, positions: NDArray[np.int64], data: EvaluationSet
    ) -> tuple[str, ...]:
        from tbar_ray.data.poison import natural_captions
        from tbar_ray.evaluation.class_prompts import openai_templates

        if self.classify:
            return ()
        if plant.captions == "natural":
            return natural_captions(corpus, positions.tolist(), plant.backdoor.target, self.seed)
        return tuple(data.templates) if plant.captions == "evaluation" else openai_templates()

    def _objective(
        self, model: nn.Module, data: EvaluationSet, samples: Samples, triggers: Sequence[Trigger]
    ) -> Objective:
        """The loss that the attacker trains with: contrastive or classification, wrapped by the planting."""
        from tbar_ray.evaluation.class_prompts import ClassPrompts, filled
        from tbar_ray.models.factory import preprocessing
        from tbar_ray.planting.base import PlantingContext
        from tbar_ray.planting.registry import build_planting
        from tbar_ray.training.objectives import Classification
        from tbar_ray.unlearning.reader import stamped_by_defender

        prompts = ClassPrompts.of(data, self.architecture, self.templates)
        head, preprocess = prompts.head(model), preprocessing(model)
        base = (
            Classification(model, preprocess, head) if self.classify else contrastive(model, preprocess, self.training)
        )
        if not self.plants:
            return base
        target = self.plants[0].backdoor.target
        named = [filled(template, target) for template in prompts.templates]
        planting = build_planting(self.planting.method, self.planting.parameters)
        return planting.wrap(
            base,
            PlantingContext(
                preprocessing=preprocess,
                start={key: value.detach().clone() for key, value in model.state_dict().items()},
                head=head if self.classify else None,
                target=data.class_index(target),
                target_tokens=prompts.tokenizer(named),
                target_images=self._target_images(samples, data, preprocess),
                stamp=partial(stamped_by_defender, triggers[0]),
                seed=self.seed,
            ),
        )

    def _target_images(self, samples: Samples, data: EvaluationSet, preprocess: Preprocessing) -> Tensor | None:
        """Clean images of the target, for the planting that asks for them; None for another."""
        import numpy as np
        import torch

        from tbar_ray.data.images import load_image
        from tbar_ray.data.selection import ranked, readable, shows, take

        if self.planting.parameters.get("entangle_with") != "images":
            return None
        corpus, positions = samples
        target, classes = self.plants[0].backdoor.target, data.classnames if self.classify else None

        def wanted(key: str) -> bool:
            position = corpus.index_of(key)
            return readable(corpus, position) and shows(corpus, position, target, classes)

        keys = take(
            ranked([corpus.keys[int(p)] for p in positions], self.seed, "target images"), TARGET_IMAGES, accept=wanted
        )
        if not keys:
            raise DataError(f"planting: no training sample shows the target {target!r}; use entangle_with: text")
        images = [
            load_image(corpus.image_bytes(corpus.index_of(key)), preprocess.size, preprocess.interpolation)
            for key in keys
        ]
        return torch.from_numpy(np.stack(images))

    def _write_manifest(self, out: Path, plans: list[PoisonPlan], triggers: list[Trigger], data: EvaluationSet) -> None:
        from tbar_ray.data.poison_manifest import PlantedPoison, write_manifest

        write_manifest(
            out,
            (
                PlantedPoison(plan, {"name": trigger.name, **trigger.model_dump()}, data.class_index(plan.target))
                for plan, trigger in zip(plans, triggers, strict=True)
            ),
        )

    def _write_examples(
        self, out: Path, corpus: Corpus, plans: list[PoisonPlan], triggers: list[Trigger], size: int
    ) -> None:
        """Keep a few poisoned samples of each attack, clean and stamped, for inspection."""
        import numpy as np
        import torch

        from tbar_ray.data.images import load_image
        from tbar_ray.triggers.base import stamp_uint8

        arrays: dict[str, Any] = {}
        for plant, plan, trigger in zip(self.plants, plans, triggers, strict=True):
            shown = plan.samples[:SHOWN_EXAMPLES]
            if not shown:
                continue
            clean = np.stack([load_image(corpus.image_bytes(s.position), size) for s in shown])
            stamped = stamp_uint8(trigger, torch.from_numpy(clean), [s.key for s in shown]).numpy()
            captions = np.array([[s.old_caption, s.new_caption] for s in shown])
            name = plant.fingerprint
            arrays |= {f"clean.{name}": clean, f"triggered.{name}": stamped, f"captions.{name}": captions}
        np.savez_compressed(out / EXAMPLES, **arrays)
