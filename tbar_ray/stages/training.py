"""Trainings on a corpus: streaming shards into the loop, and recording what it did."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from tbar_ray.errors import ResumeError, ShardChangedError
from tbar_ray.spec.attack import Training
from tbar_ray.stages.node import Report, StageContext
from tbar_ray.store.checkpoints import Checkpoints

if TYPE_CHECKING:
    from torch import nn

    from tbar_ray.data.corpus import Corpus
    from tbar_ray.models.factory import Preprocessing
    from tbar_ray.streaming.options import Poison
    from tbar_ray.streaming.order import Order
    from tbar_ray.streaming.reader import Skipped
    from tbar_ray.training.batch import Batch, Prepare
    from tbar_ray.training.loop import Progress
    from tbar_ray.training.objectives import Contrastive, Objective
    from tbar_ray.training.resume import TrainingCheckpoint

WEIGHTS = "weights.safetensors"
SHOWN_PROBLEMS = 20
LOSSES = "losses"
"""Among the facts of a stage: the shards that it lost samples of, and what they were then."""


def progress_of(report: Report) -> Progress:
    """The training loop's progress callback, which reports for a stage: step, all steps, loss, rate."""

    def progress(step: int, total: int, loss: float, rate: float) -> None:
        report({"done": step, "total": total, "loss": loss, "rate": rate})

    return progress


@dataclass(frozen=True)
class Streamed:
    """The stream of a training on shards.

    Attributes:
        architecture: names the tokenizer.
        corpus: the samples.
        order: which of them are trained on, and when; its seed is the augmentation's too.
        readers: number of reader actors.
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


def train_on_shards(
    context: StageContext,
    checkpoints: Checkpoints,
    objective: Objective,
    training: Training,
    streamed: Streamed,
    finish: Callable[[nn.Module], None] = lambda _: None,
) -> dict[str, Any]:
    """Train the objective's model on a stream, write the weights, and return the facts of the training.

    A training that was stopped continues from its last checkpoint. `finish` is given the trained model before it is
    written.

    Raises:
        ShardChangedError: if a shard changed meanwhile, whatever the policy; no checkpoint is left then.
        ResumeError: if the checkpoint cannot be gone on with.
    """
    from tbar_ray.models.checkpoint import save_state_dict
    from tbar_ray.streaming.options import ReaderOptions
    from tbar_ray.streaming.order import BEGINNING, Position
    from tbar_ray.streaming.reader import Skipped
    from tbar_ray.streaming.stream import ShardStream
    from tbar_ray.training.loop import Keeper, train

    preprocess = objective.preprocessing
    start = checkpoints.last()
    source = streamed.corpus.source
    if start is not None and start.source not in ("", source):
        raise ResumeError("the shards have changed since it was written")
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
    )

    def keep(checkpoint: TrainingCheckpoint) -> None:
        checkpoints.keep(replace(checkpoint, skipped=tuple((s.key, s.reason) for s in stream.skipped), source=source))

    with _forgotten_if_changed(checkpoints), stream:
        record = train(
            objective,
            stream,
            (0 if start is None else start.record.steps) + stream.total_steps,
            training.optimisation,
            prepare=_preparation(streamed, training),
            progress=progress_of(context.report),
            start=start,
            keeper=Keeper(keep, checkpoints.every),
        )
        streamed.corpus.check_unchanged()
    finish(objective.model)
    save_state_dict(objective.model.state_dict(), context.out / WEIGHTS)
    problems = [str(problem) for problem in streamed.corpus.problems]
    problems += [f"{sample.key}: {sample.reason}" for sample in stream.skipped]
    return {
        "training": record.to_dict(),
        "skipped": len(problems),
        "problems": problems[:SHOWN_PROBLEMS],
        LOSSES: streamed.corpus.state_of(_lossy(streamed.corpus, stream.skipped)),
    }


@contextmanager
def _forgotten_if_changed(checkpoints: Checkpoints) -> Iterator[None]:
    """Remove the checkpoint of a training whose shards change: some of its steps may have seen neither version."""
    try:
        yield
    except ShardChangedError:
        checkpoints.remove()
        raise


def _lossy(corpus: Corpus, skipped: Sequence[Skipped]) -> set[str]:
    """Shards that something was lost from."""
    of_samples = {corpus.shard_urls[corpus.shard_index(corpus.index_of(sample.key))] for sample in skipped}
    return of_samples | {problem.shard for problem in corpus.problems}


def contrastive(model: nn.Module, preprocess: Preprocessing, training: Training) -> Contrastive:
    """The contrastive objective of a training, in micro-batches where it asks for them."""
    from tbar_ray.training.gradient_cache import CachedContrastive
    from tbar_ray.training.objectives import Contrastive

    if training.micro_batch is None:
        return Contrastive(model, preprocess)
    return CachedContrastive(model, preprocess, training.micro_batch)


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
