"""What trainings on a corpus share: streaming shards into the loop, and keeping the record."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tbar_ray.campaign.node import Report, StageContext
from tbar_ray.campaign.spec_attack import Training

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from tbar_ray.data.corpus import Corpus
    from tbar_ray.streaming.reader import Poison
    from tbar_ray.training.loop import Progress
    from tbar_ray.training.objectives import Objective

WEIGHTS = "weights.safetensors"
SHOWN_PROBLEMS = 20


def progress_of(report: Report) -> Progress:
    """Return the training loop's progress callback for a stage."""

    def progress(step: int, total: int, loss: float, rate: float) -> None:
        report({"done": step, "total": total, "loss": loss, "rate": rate})

    return progress


def train_on_shards(
    context: StageContext,
    objective: Objective,
    architecture: str,
    corpus: Corpus,
    positions: NDArray[np.int64],
    training: Training,
    *,
    seed: int,
    readers: int,
    policy: str,
    poisons: tuple[Poison, ...] = (),
    labels: bool = False,
) -> dict[str, Any]:
    """Train the objective's model on a stream, write the weights, and return the facts of the training.

    With `labels` the stream carries class labels instead of captions.
    """
    from tbar_ray.models.checkpoint import save_state_dict
    from tbar_ray.streaming.reader import ReaderOptions
    from tbar_ray.streaming.stream import ShardStream
    from tbar_ray.training.loop import train

    wants = objective.preprocessing
    options = ReaderOptions(architecture, wants.size, wants.interpolation, poisons, labels)
    stream = ShardStream(
        corpus,
        positions,
        options,
        batch_size=training.batch_size,
        epochs=training.epochs,
        seed=seed,
        readers=readers,
        policy=policy,  # type: ignore[arg-type]
    )
    with stream:
        record = train(
            objective,
            stream,
            stream.total_steps,
            training.optimisation,
            progress=progress_of(context.report),
        )
    save_state_dict(objective.model.state_dict(), context.out / WEIGHTS)
    problems = [str(problem) for problem in corpus.problems]
    problems += [f"{sample.key}: {sample.reason}" for sample in stream.skipped]
    return {"training": record.to_dict(), "skipped": len(problems), "problems": problems[:SHOWN_PROBLEMS]}
