"""What a spec asks for beyond the removal itself: whether it lasts."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from tbar_ray.lasting.options import ReboundOptions

Factor = Annotated[float, Field(gt=0)]


class ReboundSpec(ReboundOptions):
    """Rebound: each cleaned model, the infected and the clean one, fine-tuned on clean pairs without the target."""

    pairs: int = Field(
        default=10_000, ge=2, description="clean pairs, at most; none is poisoned, names the target or was held before"
    )
    sweep: tuple[Factor, ...] = Field(
        default=(), description="further learning rates, as factors of learning_rate: [0.333, 3]"
    )
    eligible_only: bool = Field(
        default=False,
        description="of cleaned models, fine-tune only those with an ASR of at most 10 %: a backdoor that was never "
        "gone cannot come back",
    )

    def at_each_rate(self) -> tuple[ReboundOptions, ...]:
        """The options at the learning rate, then at its multiples of the sweep, rising; each once."""
        rates = sorted({float(f"{self.learning_rate * factor:.6g}") for factor in self.sweep} - {self.learning_rate})
        own = {name: getattr(self, name) for name in ReboundOptions.model_fields}
        return tuple(ReboundOptions(**{**own, "learning_rate": rate}) for rate in (self.learning_rate, *rates))
