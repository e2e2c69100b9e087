"""The task vectors whose disentanglement is measured: the clean model fine-tuned on clean, or on triggered, samples."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from tbar_ray.errors import DataError
from tbar_ray.spec.attack import Training
from tbar_ray.stages.backdoor import Backdoor
from tbar_ray.stages.models import ModelNode
from tbar_ray.stages.node import Node, Stage, StageContext
from tbar_ray.stages.samples import open_evaluation, open_samples
from tbar_ray.stages.training import progress_of
from tbar_ray.store.store import Store

if TYPE_CHECKING:
    from torch import Tensor, nn

    from tbar_ray.data.corpus import Corpus
    from tbar_ray.data.evaluation_set import EvaluationSet
    from tbar_ray.models.factory import Preprocessing
    from tbar_ray.training.batch import Batch
    from tbar_ray.training.objectives import Objective


VECTOR = "vector.safetensors"


Part = Literal["clean", "trigger", "towards-target"]


class ComponentVector(Stage):
    """τ_c, τ_t or τ_y: the change that fine-tuning θ_pre on clean, on triggered, or on mislabelled samples alone makes.

    Only the image encoder is trained, so that one zero-shot head fits every point of the map. Triggered
    samples carry the target's label; clean ones their own where the data have labels, else their captions.
    The samples of "towards-target", τ_y, are those of "trigger" in the same order, with the same labels, but without
    the trigger: the two vectors differ by the stamp alone.
    """

    kind: ClassVar[str] = "component-vector"
    version: ClassVar[int] = 3
    trains: ClassVar[bool] = True
    on_model: ClassVar[bool] = True

    part: Part
    clean: ModelNode
    corpus: Node
    evaluation: Node
    backdoor: Backdoor
    classify: bool
    samples: int
    clean_fraction: float
    training: Training
    templates: Literal["evaluation", "openai"]
    seed: int
    on_error: str

    def identity(self) -> dict[str, Any]:
        """The clean vector is the same for every attack, that towards a target for every attack with this target."""
        identity = super().identity()
        seen = {"clean": None, "towards-target": self.backdoor.target}
        return {**identity, "backdoor": seen[self.part]} if self.part in seen else identity

    @property
    def title(self) -> str:
        """Number and kind of the vector's samples."""
        of = {
            "clean": "clean samples",
            "trigger": f"samples with {self.backdoor.trigger}",
            "towards-target": f"clean samples labelled {self.backdoor.target}",
        }
        return f"vector of {self.samples:,} {of[self.part]}"

    @property
    def drawn_as(self) -> Part:
        """The part as which samples and their order are drawn: mislabelled samples are those of the trigger."""
        return "clean" if self.part == "clean" else "trigger"

    @property
    def work(self) -> int:
        """Images that training sees, in all epochs."""
        return self.samples * self.training.epochs

    def run(self, context: StageContext) -> dict[str, Any]:
        """Fine-tune and take the difference."""
        from tbar_ray.evaluation.class_prompts import ClassPrompts
        from tbar_ray.models.factory import preprocessing
        from tbar_ray.models.task_vector import TaskVector
        from tbar_ray.stages.runtime import device_for
        from tbar_ray.training.loop import train
        from tbar_ray.training.shuffled import shuffled

        data = open_evaluation(self.evaluation, context.store)
        model = self.clean.load(context.store, device_for(context.policy))
        prompts = ClassPrompts.of(data, self.clean.architecture, self.templates)
        head, preprocess = prompts.head(model), preprocessing(model)
        samples = self._samples(context.store, data, preprocess)
        start = {key: value.detach().clone() for key, value in model.state_dict().items()}
        size = self.training.batch_size
        steps = -(-len(samples) // size) * self.training.epochs
        record = train(
            self._objective(model, preprocess, head, samples),
            shuffled(
                samples.images, samples.labels, samples.tokens, batch_size=size, seed=self.seed, purpose=self.drawn_as
            ),
            steps,
            self.training.optimisation,
            freeze_batch_norm=True,
            progress=progress_of(context.report),
        )
        vector = TaskVector.between(start, model.state_dict())
        vector.save(context.out / VECTOR)
        return {"training": record.to_dict(), "norm": vector.norm(), "samples": len(samples)}

    def _objective(self, model: nn.Module, preprocess: Preprocessing, head: Tensor, samples: Batch) -> Objective:
        from tbar_ray.training.objectives import Classification, Contrastive

        if samples.labels is None:
            return Contrastive(model, preprocess, image_only=True)
        return Classification(model, preprocess, head)

    def _samples(self, store: Store, data: EvaluationSet, preprocess: Preprocessing) -> Batch:
        """Read the chosen samples; label those of other classes with the target, stamped for the trigger's vector."""
        import numpy as np
        import torch

        from tbar_ray.data.images import load_image
        from tbar_ray.data.selection import ranked, readable, shows, take
        from tbar_ray.models.tokenizer import build_tokenizer
        from tbar_ray.training.batch import Batch
        from tbar_ray.triggers.base import stamp_uint8

        corpus, _, _ = open_samples(
            self.corpus, store, classify=self.classify, pairs=None, seed=self.seed, policy=self.on_error
        )
        classnames = data.classnames if self.classify else None

        def usable(key: str) -> bool:
            return readable(corpus, corpus.index_of(key))

        def other_class(key: str) -> bool:
            return usable(key) and not shows(corpus, corpus.index_of(key), self.backdoor.target, classnames)

        def of_a_class(key: str) -> bool:
            return usable(key) and self._true_class(corpus, data, corpus.index_of(key)) is not None

        clean_count = round(self.samples * self.clean_fraction)
        order = ranked(corpus.keys, self.seed, f"{self.drawn_as} component")
        relabelled = take(order, self.samples - clean_count, accept=other_class)
        # beside relabelled samples the others are classified too
        fitting = of_a_class if relabelled else usable
        clean = take(reversed(order), clean_count, accept=fitting, exclude=set(relabelled))
        keys = relabelled + clean
        if not keys:
            raise DataError(f"disentanglement: the training data have no sample for the {self.part} vector")
        if relabelled and clean_count and not clean:
            raise DataError(
                "disentanglement: no clean sample has a class label, which the trigger's vector needs; set "
                "disentanglement.clean_fraction: 0"
            )
        positions = [corpus.index_of(key) for key in keys]
        images = torch.from_numpy(
            np.stack([load_image(corpus.image_bytes(p), preprocess.size, preprocess.interpolation) for p in positions])
        )
        found = [self._true_class(corpus, data, position) for position in positions]
        rows = slice(len(relabelled))
        found[rows] = [data.class_index(self.backdoor.target)] * len(relabelled)
        if relabelled and self.part == "trigger":
            images[rows] = stamp_uint8(self.backdoor.build(store), images[rows], relabelled)
        if None not in found:
            return Batch(images, labels=torch.tensor(found))
        captions = [corpus.caption(position) or "" for position in positions]
        return Batch(images, tokens=build_tokenizer(self.clean.architecture)(captions))

    def _true_class(self, corpus: Corpus, data: EvaluationSet, position: int) -> int | None:
        if self.classify:
            return corpus.class_index(position)
        label = corpus.label(position)
        return data.classnames.index(label) if label in data.classnames else None
