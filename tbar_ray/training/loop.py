"""The one training loop: any objective, any source of batches."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field

import torch
from torch import Tensor, nn

from tbar_ray.errors import ScientificError
from tbar_ray.training.batch import Batch
from tbar_ray.training.objectives import Objective
from tbar_ray.training.optimisation import autocast, build_optimizer, learning_rate_at
from tbar_ray.training.options import Optimisation

MAX_LOGIT_SCALE = math.log(100)
CHECK_EVERY = 10
"""Steps between looks at the loss; each look waits for the device."""
EXPLOSION = 10.0
"""A loss this many times the largest of the first looks (and at least this large) counts as diverged."""
FIRST_LOOKS = 3
"""Looks that say what is usual: a first batch alone may lack what makes the loss large (poisoned rows, say)."""

Progress = Callable[[int, int, float, float], None]
"""Called with (step, total steps, loss, images per second)."""
OptimizerFor = Callable[[Mapping[str, nn.Parameter], Optimisation], torch.optim.Optimizer]


@dataclass
class TrainingRecord:
    """What a training did: steps, samples, seconds, and the loss at every look as (step, loss)."""

    steps: int = 0
    samples: int = 0
    seconds: float = 0.0
    losses: list[tuple[int, float]] = field(default_factory=list)

    @property
    def images_per_second(self) -> float:
        """Return the mean throughput, 0 before the first step."""
        return self.samples / self.seconds if self.seconds else 0.0

    def to_dict(self) -> dict[str, object]:
        """Return the record for JSON."""
        return {**asdict(self), "images_per_second": self.images_per_second}


def train(
    objective: Objective,
    batches: Iterable[Batch],
    total_steps: int,
    options: Optimisation,
    *,
    freeze_batch_norm: bool = False,
    optimizer_for: OptimizerFor = build_optimizer,
    progress: Progress | None = None,
) -> TrainingRecord:
    """Train the objective's parameters for at most `total_steps` batches, in place.

    Args:
        objective: the loss and the parameters that it trains; all others are frozen meanwhile.
        batches: batches on any device; a source that ends early ends the training.
        total_steps: length of the learning-rate schedule.
        options: hyper-parameters of the optimiser, schedule, clipping and precision.
        freeze_batch_norm: keep BatchNorm in evaluation mode (its statistics unchanged).
        optimizer_for: makes the optimiser of the trained parameters; AdamW if left out.
        progress: called at every look at the loss.

    Raises:
        ScientificError: if the loss stops being finite or explodes, or the last steps leave weights that are
            not finite.
    """
    model = objective.model
    device = next(model.parameters()).device
    trained = objective.named_parameters()
    frozen = _freeze_others(model, trained)
    optimizer = optimizer_for(trained, options)
    _training_mode(model, freeze_batch_norm)
    record = TrainingRecord()
    started = time.perf_counter()
    pending: list[Tensor] = []
    try:
        for step, batch in zip(range(total_steps), batches, strict=False):
            for group in optimizer.param_groups:
                group["lr"] = learning_rate_at(step, total_steps, options)
            with autocast(device, options.precision):
                loss = objective.loss(_to(batch, device))
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            if options.clip_norm is not None:
                torch.nn.utils.clip_grad_norm_(trained.values(), options.clip_norm)
            optimizer.step()
            if "logit_scale" in trained:
                with torch.no_grad():
                    trained["logit_scale"].clamp_(0, MAX_LOGIT_SCALE)
            pending.append(loss.detach())
            record.steps, record.samples = step + 1, record.samples + len(batch)
            if len(pending) == CHECK_EVERY or step == 0 or step + 1 == total_steps:
                record.seconds = time.perf_counter() - started
                _look(pending, record)
                if progress is not None:
                    progress(step + 1, total_steps, record.losses[-1][1], record.images_per_second)
        if pending:
            _look(pending, record)
        _check_weights(model, record)
    finally:
        optimizer.zero_grad(set_to_none=True)
        for parameter in frozen:
            parameter.requires_grad_(True)
        model.eval()
    record.seconds = time.perf_counter() - started
    return record


def _look(pending: list[Tensor], record: TrainingRecord) -> None:
    """Append the mean loss since the last look, and stop a training that has diverged."""
    mean = float(torch.stack(pending).float().mean())
    pending.clear()
    if not math.isfinite(mean):
        raise ScientificError(f"training diverged: loss is {mean} by step {record.steps}; lower the learning rate")
    record.losses.append((record.steps, mean))
    earlier = record.losses[:-1] or record.losses
    first = max(loss for _, loss in earlier[:FIRST_LOOKS])
    limit = EXPLOSION * max(1.0, first)
    if mean > limit:
        raise ScientificError(
            f"training diverged: loss {mean:.1f} at step {record.steps} from {first:.2f} "
            f"at the start; lower the learning rate"
        )


def _check_weights(model: nn.Module, record: TrainingRecord) -> None:
    """Stop a training whose last steps, after the last loss, left NaN or infinity in weights or statistics."""
    for name, value in model.state_dict().items():
        if value.is_floating_point() and not bool(torch.isfinite(value).all()):
            raise ScientificError(
                f"training diverged: {name} is not finite after step {record.steps}; lower the learning rate"
            )


def _freeze_others(model: nn.Module, trained: dict[str, nn.Parameter]) -> list[nn.Parameter]:
    """Stop gradients of every parameter that is not trained; return those that were stopped here."""
    kept = {id(parameter) for parameter in trained.values()}
    stopped = [p for p in model.parameters() if id(p) not in kept and p.requires_grad]
    for parameter in stopped:
        parameter.requires_grad_(False)
    return stopped


def _training_mode(model: nn.Module, freeze_batch_norm: bool) -> None:
    model.train()
    if freeze_batch_norm:
        for module in model.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.eval()


def _to(batch: Batch, device: torch.device) -> Batch:
    def move(tensor: Tensor | None) -> Tensor | None:
        return None if tensor is None else tensor.to(device, non_blocking=True)

    images = batch.images.to(device, non_blocking=True)
    return Batch(images, move(batch.tokens), move(batch.labels), move(batch.poisoned))
