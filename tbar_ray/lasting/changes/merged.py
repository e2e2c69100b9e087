"""Merging with another task's vector."""

from __future__ import annotations

from typing import ClassVar

from torch import nn

from tbar_ray.lasting.change import Change, Material, put

COEFFICIENT = 0.3
"""As `models.merging`'s task arithmetic has it."""


class Merged(Change):
    """θ + 0.3·τ of a model that was fine-tuned cleanly for another task: task arithmetic (2212.04089).

    In the single-task setting, where the campaign has another task. Merging moves the model back towards where other
    tasks' models are, which is also where the infected one was.
    """

    name: ClassVar[str] = "merged"
    moves: ClassVar[bool] = True

    def apply(self, model: nn.Module, material: Material) -> None:
        """Add the vector."""
        state = model.state_dict()
        assert material.task is not None, "a spec without another task is refused"
        put(
            model,
            {
                name: state[name] + COEFFICIENT * value.to(state[name].device)
                for name, value in material.task.tensors.items()
            },
        )
