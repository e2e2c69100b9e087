"""The training loop, for any objective and any source of batches."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from tbar_ray.models.texts import text_places
from tbar_ray.training.batch import Batch, Prepare
from tbar_ray.training.device import laid_out, on_device
from tbar_ray.training.objectives import Objective
from tbar_ray.training.optimisation import autocast, build_optimizer, learning_rate_at
from tbar_ray.training.options import Optimisation
from tbar_ray.training.record import TrainingRecord
from tbar_ray.training.resume import TrainingCheckpoint
from tbar_ray.training.workers import ALONE, Workers

MAX_LOGIT_SCALE = math.log(100)
CHECK_EVERY = 10
"""Steps between loss checks; each check synchronises with the device."""

Progress = Callable[[int, int, float, float], None]
"""Called with (step, total steps, loss, images per second)."""
After = Callable[[int], None]
"""Called after every step with the number of steps done; it may look at the model, and leaves it as it was."""
OptimizerFor = Callable[[Mapping[str, nn.Parameter], Optimisation], torch.optim.Optimizer]


def _never() -> bool:
    return False


@dataclass(frozen=True)
class Keeper:
    """When checkpoints are kept.

    Attributes:
        keep: gets a checkpoint at the first loss check after every `every` seconds.
        every: seconds between checkpoints.
        at_once: whether the next loss check is to keep one anyway.
    """

    keep: Callable[[TrainingCheckpoint], None]
    every: float
    at_once: Callable[[], bool] = _never

    def is_due(self, seconds: float) -> bool:
        """Whether a checkpoint is to be kept, so long after the last one."""
        return seconds >= self.every or self.at_once()


def train(
    objective: Objective,
    batches: Iterable[Batch],
    total_steps: int,
    options: Optimisation,
    *,
    freeze_batch_norm: bool = False,
    optimizer_for: OptimizerFor = build_optimizer,
    prepare: Prepare | None = None,
    progress: Progress | None = None,
    after: After | None = None,
    start: TrainingCheckpoint | None = None,
    keeper: Keeper | None = None,
    workers: Workers = ALONE,
) -> TrainingRecord:
    """Train the objective's parameters in place for at most `total_steps` batches.

    Args:
        objective: the loss and its trained parameters; all other parameters are frozen during training.
        batches: batches on any device; with `start`, those that follow it. If the source ends early, training ends.
        total_steps: length of the learning-rate schedule.
        options: hyper-parameters of the optimiser, schedule, clipping and precision.
        freeze_batch_norm: keep BatchNorm in evaluation mode (its statistics unchanged).
        optimizer_for: creates the optimiser for the trained parameters; default AdamW.
        prepare: changes every batch on the training device before the loss is computed.
        progress: called at every loss check.
        after: called after every step, to score the model on the way; its time is part of the record's.
        start: checkpoint from which an interrupted training resumes.
        keeper: receives checkpoints during training.
        workers: the processes that train together, each with its share of every batch (`Batch.shares`); the model is
            the same in all of them, before and after.

    Returns:
        Steps, samples (of all workers), seconds and losses of the training.

    Raises:
        ScientificError: if the loss is not finite or explodes, or the final weights are not finite.
        ResumeError: if `start` belongs to another model or optimiser.
    """
    model = objective.model
    device = next(model.parameters()).device
    trained = objective.named_parameters()
    objective.among(workers)
    frozen = _freeze_others(model, trained)
    _training_mode(model, freeze_batch_norm)
    with laid_out(model, options):
        optimizer = optimizer_for(trained, options)
        record = TrainingRecord() if start is None else start.restore(model, optimizer)
        before, started = record.seconds, time.perf_counter()
        kept = started
        pending: list[Tensor] = []
        try:
            arriving = _timed(on_device(batches, device), record)
            for step, given in zip(range(record.steps, total_steps), arriving, strict=False):
                batch = workers.filled(given if prepare is None or not len(given) else prepare(given, step))
                if not record.text_places and batch.tokens is not None:
                    record.text_places = text_places(model, batch.tokens)
                for group in optimizer.param_groups:
                    group["lr"] = learning_rate_at(step, total_steps, options)
                optimizer.zero_grad(set_to_none=True)
                objective.at(step)
                loss = objective.backward(batch, partial(autocast, device, options.precision))
                loss = workers.averaged(loss, trained.values())
                if options.clip_norm is not None:
                    torch.nn.utils.clip_grad_norm_(trained.values(), options.clip_norm)
                optimizer.step()
                if "logit_scale" in trained:
                    with torch.no_grad():
                        trained["logit_scale"].clamp_(0, MAX_LOGIT_SCALE)
                pending.append(loss)
                record.steps, record.samples = step + 1, record.samples + given.whole
                if len(pending) == CHECK_EVERY or step == 0 or step + 1 == total_steps:
                    now = time.perf_counter()
                    record.seconds = before + now - started
                    record.look(pending)
                    if progress is not None:
                        progress(step + 1, total_steps, record.losses[-1][1], record.images_per_second)
                    if keeper is not None and step + 1 < total_steps and keeper.is_due(now - kept):
                        kept = now
                        keeper.keep(TrainingCheckpoint(record, model.state_dict(), optimizer.state_dict(), given.after))
                if after is not None:
                    after(step + 1)
            if pending:
                record.look(pending)
            record.check_weights(_changeable(model, trained))
        finally:
            optimizer.zero_grad(set_to_none=True)
            for parameter in frozen:
                parameter.requires_grad_(True)
            model.eval()
    record.seconds = before + time.perf_counter() - started
    return record


def _timed(batches: Iterator[Batch], record: TrainingRecord) -> Iterator[Batch]:
    """Yield the batches, and add the waiting time for each to the record."""
    while True:
        asked = time.perf_counter()
        batch = next(batches, None)
        record.waiting += time.perf_counter() - asked
        if batch is None:
            return
        yield batch


def _freeze_others(model: nn.Module, trained: dict[str, nn.Parameter]) -> list[nn.Parameter]:
    """Disable gradients of all parameters that are not trained; returns the parameters changed here."""
    kept = {id(parameter) for parameter in trained.values()}
    stopped = [p for p in model.parameters() if id(p) not in kept and p.requires_grad]
    for parameter in stopped:
        parameter.requires_grad_(False)
    return stopped


def _changeable(model: nn.Module, trained: dict[str, nn.Parameter]) -> dict[str, Tensor]:
    """What of a model's state training may have changed: parameters that it trains, and buffers."""
    kept = {id(parameter) for parameter in trained.values()}
    frozen = {name for name, parameter in model.named_parameters() if id(parameter) not in kept}
    return {name: value for name, value in model.state_dict().items() if name not in frozen}


def _training_mode(model: nn.Module, freeze_batch_norm: bool) -> None:
    model.train()
    if freeze_batch_norm:
        for module in model.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.eval()
