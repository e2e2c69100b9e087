"""Trainings on a corpus: streaming shards into the loop, and recording what it did."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tbar_ray.errors import ResumeError, ShardChangedError
from tbar_ray.spec.attack import Training
from tbar_ray.stages.node import Report, StageContext
from tbar_ray.stages.shard_training import ShardTraining, Streamed
from tbar_ray.store.checkpoints import Checkpoints

if TYPE_CHECKING:
    from torch import nn

    from tbar_ray.data.corpus import Corpus
    from tbar_ray.models.factory import Preprocessing
    from tbar_ray.streaming.reader import Skipped
    from tbar_ray.training.loop import Progress
    from tbar_ray.training.objectives import Contrastive, Objective
    from tbar_ray.training.resume import TrainingCheckpoint
    from tbar_ray.training.workers import Workers

WEIGHTS = "weights.safetensors"
SHOWN_PROBLEMS = 20
LOSSES = "losses"
"""Among the facts of a stage: the shards that it lost samples of, and what they were then."""


def progress_of(report: Report) -> Progress:
    """The training loop's progress callback, which reports for a stage: step, all steps, loss, rate."""

    def progress(step: int, total: int, loss: float, rate: float) -> None:
        report({"done": step, "total": total, "loss": loss, "rate": rate})

    return progress


def train_on_shards(
    context: StageContext,
    checkpoints: Checkpoints,
    objective: Objective,
    training: Training,
    streamed: Streamed,
    finish: Callable[[nn.Module], None] = lambda _: None,
) -> dict[str, Any]:
    """Train the objective's model on a stream, write the weights, and return the facts of the training.

    A training that was stopped continues from its last checkpoint. One of whose nodes is to be taken away keeps a
    checkpoint and ends. `finish` is given the trained model before it is written.

    Raises:
        StageLostError: if a worker is lost, or a node is to be taken away.
        ShardChangedError: if a shard changed meanwhile, whatever the policy; no checkpoint is left then.
        ResumeError: if the checkpoint cannot be gone on with.
    """
    from tbar_ray.models.checkpoint import save_state_dict
    from tbar_ray.stages.lost import StageLostError
    from tbar_ray.stages.notice import Notice
    from tbar_ray.training.loop import Keeper

    start = checkpoints.last()
    if start is not None and start.source not in ("", streamed.corpus.source):
        raise ResumeError("the shards have changed since it was written")
    whole = ShardTraining(objective, training, streamed, start)
    progress = progress_of(context.report)
    with _forgotten_if_changed(checkpoints), _workers(context, whole) as (workers, nodes), Notice(nodes) as notice:

        def keep(checkpoint: TrainingCheckpoint) -> None:
            checkpoints.keep(checkpoint)
            context.report({"kept": True})
            if notice.given:
                raise StageLostError("node", "its node is to be taken away")

        record, skipped = whole.run(workers, progress, Keeper(keep, checkpoints.every, lambda: notice.given))
    finish(objective.model)
    save_state_dict(objective.model.state_dict(), context.out / WEIGHTS)
    problems = [str(problem) for problem in streamed.corpus.problems]
    problems += [f"{sample.key}: {sample.reason}" for sample in skipped]
    return {
        "training": record.to_dict(),
        "workers": workers.size,
        "skipped": len(problems),
        "problems": problems[:SHOWN_PROBLEMS],
        LOSSES: streamed.corpus.state_of(_lossy(streamed.corpus, skipped)),
    }


@contextmanager
def _workers(context: StageContext, training: ShardTraining) -> Iterator[tuple[Workers, Collection[str]]]:
    """This process alone, or with the helpers that the policy asks for; and the nodes that they are on.

    Raises:
        SpecError: if the training cannot be divided.
    """
    import ray

    from tbar_ray.training.workers import ALONE

    if context.policy.training_workers == 1:
        yield ALONE, {ray.get_runtime_context().get_node_id()}
        return
    from tbar_ray.stages.helpers import helped
    from tbar_ray.stages.shard_training import check_divisible

    check_divisible(training.objective)
    with helped(context, training, next(training.objective.model.parameters()).device) as found:
        yield found


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
