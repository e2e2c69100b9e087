"""A training on shards, as each of its workers runs it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tbar_ray.errors import SpecError
from tbar_ray.models.architectures import image_size
from tbar_ray.spec.attack import Training
from tbar_ray.stages.node import Policy
from tbar_ray.streaming.slots import slots_for

if TYPE_CHECKING:
    from tbar_ray.data.corpus import Corpus
    from tbar_ray.streaming.options import Poison
    from tbar_ray.streaming.order import Order
    from tbar_ray.streaming.reader import Skipped
    from tbar_ray.training.batch import Batch, Prepare
    from tbar_ray.training.loop import Keeper, Progress
    from tbar_ray.training.objectives import Objective
    from tbar_ray.training.record import TrainingRecord
    from tbar_ray.training.resume import TrainingCheckpoint
    from tbar_ray.training.workers import Workers

BATCH_NORM = (
    "the model's BatchNorm would see a part of every batch; set it to 1, or take a model with GroupNorm or LayerNorm"
)
PLANTING = "several workers train with planting 'standard' alone; set it to 1"


@dataclass(frozen=True)
class Streamed:
    """The stream of a training on shards.

    Attributes:
        architecture: names the tokenizer.
        corpus: the samples.
        order: which of them are trained on, and when; its seed is the augmentation's too.
        readers: number of reader actors, of each worker.
        policy: what an unreadable sample does.
        poisons: the attacks.
        labels: whether batches carry class labels instead of captions.
    """

    architecture: str
    corpus: Corpus
    order: Order
    readers: int
    policy: str
    poisons: tuple[Poison, ...] = ()
    labels: bool = False


@dataclass(frozen=True)
class ShardTraining:
    """What all workers of a training are given.

    Attributes:
        objective: the loss, with the model.
        training: its length, batches and optimisation.
        streamed: the samples.
        start: the checkpoint that it continues from.
    """

    objective: Objective
    training: Training
    streamed: Streamed
    start: TrainingCheckpoint | None

    def run(
        self,
        workers: Workers,
        progress: Progress | None = None,
        keeper: Keeper | None = None,
    ) -> tuple[TrainingRecord, list[Skipped]]:
        """Train the objective's model as one of some workers, or alone.

        Args:
            workers: this process and the others.
            progress: called at every loss check.
            keeper: given checkpoints, of which each is of the whole training.

        Returns:
            the record of the training, and the samples that could not be read, both of all workers.

        Raises:
            ShardChangedError: if a shard changed meanwhile, whatever the policy.
            ResumeError: if the checkpoint is of another training.
        """
        from tbar_ray.streaming.options import ReaderOptions
        from tbar_ray.streaming.order import BEGINNING, Position
        from tbar_ray.streaming.reader import Skipped
        from tbar_ray.streaming.stream import ShardStream
        from tbar_ray.training.loop import train

        streamed, training, start = self.streamed, self.training, self.start
        preprocess = self.objective.preprocessing
        stream = ShardStream(
            streamed.corpus,
            streamed.order,
            ReaderOptions(
                streamed.architecture, preprocess.size, preprocess.interpolation, streamed.poisons, streamed.labels
            ),
            batch_size=training.batch_size,
            epochs=training.epochs,
            readers=streamed.readers,
            policy=streamed.policy,  # type: ignore[arg-type]
            start=Position(*start.position) if start is not None and start.position is not None else BEGINNING,
            skipped=() if start is None else [Skipped(*sample) for sample in start.skipped],
            workers=workers,
        )

        def whole(checkpoint: TrainingCheckpoint) -> TrainingCheckpoint:
            skipped = tuple((sample.key, sample.reason) for sample in stream.skipped)
            return replace(checkpoint, skipped=skipped, source=streamed.corpus.source)

        with stream:
            record = train(
                self.objective,
                stream,
                (0 if start is None else start.record.steps) + stream.total_steps,
                training.optimisation,
                prepare=_preparation(streamed, training),
                progress=progress,
                start=start,
                keeper=None if keeper is None else replace(keeper, keep=lambda made: keeper.keep(whole(made))),
                workers=workers,
            )
            streamed.corpus.check_unchanged()
        return record, stream.skipped


def batches_size(architecture: str, batch_size: int, policy: Policy) -> int:
    """Bytes of the images that the readers of one worker have decoded ahead."""
    rows = -(-batch_size // policy.training_workers)
    return slots_for(policy.readers) * rows * 3 * image_size(architecture) ** 2


def check_divisible(objective: Objective) -> None:
    """Make sure that several workers compute what one would.

    Raises:
        SpecError: if a layer normalises over the rows of a batch, or a planting relates rows that no worker has
            together.
    """
    from tbar_ray.models.statistics import has_statistics
    from tbar_ray.training.gradient_cache import CachedContrastive
    from tbar_ray.training.objectives import Classification, Contrastive

    if has_statistics(objective.model):
        raise SpecError(f"resources.training_workers: {BATCH_NORM}")
    if type(objective) not in (Contrastive, CachedContrastive, Classification):
        raise SpecError(f"resources.training_workers: {PLANTING}")


def _preparation(streamed: Streamed, training: Training) -> Prepare | None:
    """What happens to a batch on the training's device: stamping, then augmentation; None if neither does."""
    from tbar_ray.streaming.stamping import Stamping
    from tbar_ray.training.augmentation import Augmented

    steps: list[Prepare] = [Stamping(streamed.poisons)] if streamed.poisons else []
    if training.augmentation is not None:
        steps.append(Augmented(training.augmentation, streamed.order.seed))

    def prepare(batch: Batch, step: int) -> Batch:
        for change in steps:
            batch = change(batch, step)
        return batch

    return prepare if steps else None
