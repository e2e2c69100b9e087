"""Weight averaging with the model before the cleaning."""

from __future__ import annotations

from typing import ClassVar

from torch import nn

from tbar_ray.lasting.change import Change, Material, put


class WiseFT(Change):
    """The mean of cleaned and infected weights: WiSE-FT (2109.01903) at 0.5.

    People average a fine-tuned model with the one it came from for robustness; here that one has the backdoor.
    """

    name: ClassVar[str] = "wise-ft"
    moves: ClassVar[bool] = True

    def apply(self, model: nn.Module, material: Material) -> None:
        """Average weights and buffers; counters of batches stay."""
        state = model.state_dict()
        put(
            model,
            {
                name: value.lerp(material.infected[name].to(value.device), 0.5)
                for name, value in state.items()
                if value.is_floating_point()
            },
        )
