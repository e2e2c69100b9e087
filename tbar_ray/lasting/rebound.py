"""Rebound: a model's scores while it is fine-tuned on clean pairs, which may bring a removed backdoor back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import nn

from tbar_ray.errors import ScientificError
from tbar_ray.evaluation.normalised_images import statistics_batches
from tbar_ray.evaluation.rebound import ReboundFigures
from tbar_ray.evaluation.scores import Scores
from tbar_ray.lasting.options import ReboundOptions
from tbar_ray.models.factory import Preprocessing
from tbar_ray.models.statistics import estimate_statistics, has_statistics, with_statistics
from tbar_ray.models.statistics_choice import STATISTICS_IMAGES
from tbar_ray.training.loop import Progress, train
from tbar_ray.training.objectives import Contrastive
from tbar_ray.training.record import TrainingRecord
from tbar_ray.training.shuffled import shuffled
from tbar_ray.unlearning.defender import Pairs


@dataclass(frozen=True)
class ReboundCurve:
    """Scores of one model while it is fine-tuned.

    Attributes:
        scores: by step, rising from 0, the model as it was given.
        reestimated: at step 0′: running statistics re-estimated on the clean pairs, nothing trained. None for a model
            without them. A rise that is there already was masked by stale statistics, not learned again.
        record: the training; its seconds include the scoring.
    """

    scores: Mapping[int, Scores]
    reestimated: Scores | None
    record: TrainingRecord

    @property
    def figures(self) -> ReboundFigures:
        """The curve's figures of merit."""
        curve = [(step, scores.asr.value) for step, scores in self.scores.items()]
        return ReboundFigures.of(curve, None if self.reestimated is None else self.reestimated.asr.value)


def measure_rebound(
    model: nn.Module,
    pairs: Pairs,
    score: Callable[[nn.Module], Scores],
    options: ReboundOptions,
    preprocessing: Preprocessing,
    seed: int,
    progress: Progress | None = None,
) -> ReboundCurve:
    """Fine-tune a model in place on clean pairs by CLIP's own loss, and score it on the way.

    One training serves all steps. Layers with running statistics (BatchNorm) keep updating them, as they do for
    anybody who goes on training.

    Args:
        model: the model, in evaluation mode; it is trained when this returns.
        pairs: at least two, none of the target.
        score: scores the model and leaves it as it is.
        options: length, learning rate and batch size, and the steps to score.
        preprocessing: size and normalisation of the model's input images.
        seed: of the order of the pairs.
        progress: called at every loss check.

    Raises:
        ScientificError: if the training diverges.
    """
    scores, reestimated = {0: score(model)}, _reestimated(model, pairs, score, preprocessing)
    size, wanted = min(options.batch_size, len(pairs)), set(options.measured)

    def after(step: int) -> None:
        if step in wanted:
            TrainingRecord(steps=step).check_weights(model.state_dict())  # scores of what is not finite are an error
            scores[step] = score(model)

    batches = shuffled(pairs.images, None, pairs.tokens, batch_size=size, seed=seed, purpose="rebound order")
    # the rest of an epoch is another loss: fewer captions to tell an image's own from
    whole = (batch for batch in batches if len(batch) == size)
    try:
        record = train(
            Contrastive(model, preprocessing),
            whole,
            options.steps,
            options.optimisation,
            progress=progress,
            after=after,
        )
    except ScientificError as error:
        raise ScientificError(f"rebound at learning rate {options.learning_rate:g}: {error}") from None
    return ReboundCurve(scores, reestimated, record)


def _reestimated(
    model: nn.Module, pairs: Pairs, score: Callable[[nn.Module], Scores], preprocessing: Preprocessing
) -> Scores | None:
    """Scores with running statistics of the clean pairs; the model gets its own back."""
    if not has_statistics(model):
        return None
    device = next(model.parameters()).device
    batches = statistics_batches(pairs.images[:STATISTICS_IMAGES], preprocessing, device)
    with with_statistics(model, estimate_statistics(model, batches)):
        return score(model)
