"""Training checkpoints: the complete state on which further steps depend."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tbar_ray.errors import ResumeError, first_line
from tbar_ray.training.record import TrainingRecord

FORMAT = 1


@dataclass(frozen=True)
class TrainingCheckpoint:
    """State of a training after some steps; a resumed training takes the same further steps bit for bit.

    Attributes:
        record: steps, samples, seconds and losses so far.
        model: the model's state dict.
        optimizer: the optimiser's state dict.
        position: where the batches continue, as (epoch, samples in it).
        skipped: unreadable samples so far, as (key, reason).
        source: what the batches came from; others cannot go on with it.
    """

    record: TrainingRecord
    model: dict[str, Tensor]
    optimizer: dict[str, Any]
    position: tuple[int, int] | None
    skipped: tuple[tuple[str, str], ...] = ()
    source: str = ""

    def save(self, path: Path) -> None:
        """Write the checkpoint atomically: an existing file is replaced only once the new one is complete."""
        part = path.with_name(f"{path.name}.part")
        torch.save({"format": FORMAT, **vars(self), "record": vars(self.record)}, part)
        part.replace(path)

    @classmethod
    def load(cls, path: Path) -> TrainingCheckpoint:
        """Read a checkpoint with tensors on the CPU; no code in the file is executed.

        Raises:
            ResumeError: if it is not a complete checkpoint of this format.
        """
        try:
            found = torch.load(path, map_location="cpu", weights_only=True)
            if found.pop("format") != FORMAT:
                raise ValueError("of another format")
            loaded = cls(**{**found, "record": TrainingRecord(**found["record"])})
            loaded._check()
        except Exception as error:  # torch raises many kinds of exception on damaged bytes
            reason = first_line(error, 160)
            raise ResumeError(f"it is no checkpoint of a training ({reason})") from None
        return loaded

    def _check(self) -> None:
        """Make sure that the parts are of their kinds: the file may have been written by anybody.

        Raises:
            ValueError: if one is not.
        """
        record = self.record
        numbers = (record.steps, record.samples, *record.resumed, *(self.position or ()))
        seconds = (record.seconds, record.waiting, *(loss for _, loss in record.losses))
        sound = (
            all(type(number) is int and number >= 0 for number in numbers)
            and all(isinstance(second, float | int) for second in seconds)
            and (self.position is None or len(self.position) == 2)
            and all(isinstance(text, str) for pair in self.skipped for text in (*pair, self.source))
            and all(isinstance(value, Tensor) for value in self.model.values())
        )
        if not sound:
            raise ValueError("its parts are not those of a training")

    def restore(self, model: nn.Module, optimizer: torch.optim.Optimizer) -> TrainingRecord:
        """Load the state into model and optimiser; returns the record to continue.

        Raises:
            ResumeError: if it belongs to another model or optimiser; they are of no use then.
        """
        try:
            model.load_state_dict(self.model)
            options = [group.keys() for group in optimizer.param_groups]
            optimizer.load_state_dict(self.optimizer)
            if [group.keys() for group in optimizer.param_groups] != options:
                raise ValueError("the optimiser has other options")
        except (AttributeError, LookupError, RuntimeError, TypeError, ValueError) as error:
            reason = first_line(error)
            raise ResumeError(f"it is a checkpoint of another training: {reason}") from None
        for parameter, state in optimizer.state.items():
            for name, value in state.items():
                if isinstance(value, Tensor) and value.dim() and value.shape != parameter.shape:
                    raise ResumeError(f"it is a checkpoint of another training: {name} has another shape")
                # a fused optimiser requires moments in the memory layout of their parameter
                if isinstance(value, Tensor) and value.shape == parameter.shape:
                    state[name] = torch.empty_like(parameter).copy_(value)
        record = self.record
        return replace(record, losses=list(record.losses), resumed=[*record.resumed, record.steps])
