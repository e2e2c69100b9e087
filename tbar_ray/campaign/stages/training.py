"""What the two contrastive trainings share: streaming shards into the loop, and keeping the record."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tbar_ray.campaign.node import Report, StageContext
from tbar_ray.campaign.spec import Training

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import nn

    from tbar_ray.data.corpus import Corpus
    from tbar_ray.streaming.reader import Poison
    from tbar_ray.training.loop import Progress

WEIGHTS = "weights.safetensors"
SHOWN_PROBLEMS = 20


def progress_of(report: Report) -> Progress:
    """Return the training loop's progress callback for a stage."""

    def progress(step: int, total: int, loss: float, rate: float) -> None:
        report({"done": step, "total": total, "loss": loss, "rate": rate})

    return progress


def train_on_shards(
    context: StageContext,
    model: nn.Module,
    architecture: str,
    corpus: Corpus,
    positions: NDArray[np.int64],
    training: Training,
    *,
    seed: int,
    readers: int,
    policy: str,
    poison: Poison | None = None,
) -> dict[str, Any]:
    """Train contrastively on a stream, write the weights, and return the facts of the training."""
    from tbar_ray.models.checkpoint import save_state_dict
    from tbar_ray.models.factory import preprocessing
    from tbar_ray.streaming.reader import ReaderOptions
    from tbar_ray.streaming.stream import ShardStream
    from tbar_ray.training.loop import train
    from tbar_ray.training.objectives import Contrastive

    wants = preprocessing(model)
    options = ReaderOptions(architecture, wants.size, wants.interpolation, poison)
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
            Contrastive(model, wants),
            stream,
            stream.total_steps,
            training.optimisation,
            progress=progress_of(context.report),
        )
    save_state_dict(model.state_dict(), context.out / WEIGHTS)
    problems = [str(problem) for problem in corpus.problems]
    problems += [f"{sample.key}: {sample.reason}" for sample in stream.skipped]
    return {"training": record.to_dict(), "skipped": len(problems), "problems": problems[:SHOWN_PROBLEMS]}
