"""Training checkpoints: the complete state on which further steps depend."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tbar_ray.errors import CheckpointError
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
    """

    record: TrainingRecord
    model: dict[str, Tensor]
    optimizer: dict[str, Any]
    position: tuple[int, int] | None
    skipped: tuple[tuple[str, str], ...] = ()

    def save(self, path: Path) -> None:
        """Write the checkpoint atomically: an existing file is replaced only once the new one is complete."""
        part = path.with_name(f"{path.name}.part")
        torch.save({"format": FORMAT, **vars(self), "record": vars(self.record)}, part)
        part.replace(path)

    @classmethod
    def load(cls, path: Path) -> TrainingCheckpoint:
        """Read a checkpoint with tensors on the CPU; no code in the file is executed.

        Raises:
            CheckpointError: if it is not a complete checkpoint of this format.
        """
        try:
            found = torch.load(path, map_location="cpu", weights_only=True)
            if found.pop("format") != FORMAT:
                raise ValueError("of another format")
            return cls(**{**found, "record": TrainingRecord(**found["record"])})
        except Exception as error:  # torch raises many kinds of exception on damaged bytes
            reason = str(error).splitlines()[0][:160] if str(error) else type(error).__name__
            raise CheckpointError(
                f"{path} is no checkpoint of a training ({reason}); delete it to restart the training"
            ) from None

    def restore(self, model: nn.Module, optimizer: torch.optim.Optimizer) -> TrainingRecord:
        """Load the state into model and optimiser; returns the record to continue.

        Raises:
            CheckpointError: if it belongs to another model or optimiser.
        """
        try:
            model.load_state_dict(self.model)
            optimizer.load_state_dict(self.optimizer)
        except (RuntimeError, ValueError, KeyError) as error:
            raise CheckpointError(f"checkpoint of another training: {str(error).splitlines()[0]}") from None
        for parameter, state in optimizer.state.items():
            for name, value in state.items():
                # a fused optimiser requires moments in the memory layout of their parameter
                if isinstance(value, Tensor) and value.shape == parameter.shape:
                    state[name] = torch.empty_like(parameter).copy_(value)
        record = self.record
        return replace(record, losses=list(record.losses), resumed=[*record.resumed, record.steps])
