"""The axes of an ablation: what may vary between trials, with the values that make sense.

A new axis is one line in `AXES`, the field of `Trial` that it fills, and its use in `graph`; see CONTRIBUTING.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Kind = Literal["name", "integer", "number"]


class AxisRange(BaseModel):
    """A range to search by a sampler: numbers or, with `integer`, whole numbers; `log` spaces it by factors."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    low: float
    high: float
    log: bool = False
    integer: bool = Field(default=False, description="set by the axis")

    @model_validator(mode="after")
    def _ordered(self) -> AxisRange:
        if not self.low < self.high:
            raise ValueError(f"low {self.low} is not below high {self.high}")
        if self.log and self.low <= 0:
            raise ValueError("log needs low > 0")
        return self


@dataclass(frozen=True)
class Axis:
    """One axis: its kind, and the bounds of its values."""

    name: str
    kind: Kind
    low: float = 0
    high: float = float("inf")
    low_open: bool = False
    high_open: bool = False

    def check(self, value: Any) -> None:
        """Raise ValueError unless `value` is of the axis' kind and within its bounds."""
        if self.kind == "name":
            if not isinstance(value, str):
                raise ValueError(f"axes.{self.name}: {value!r} is not a name")
            return
        is_number = isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)
        if not is_number or (self.kind == "integer" and value != int(value)):
            raise ValueError(
                f"axes.{self.name}: {value!r} is not {'a whole' if self.kind == 'integer' else 'a'} number"
            )
        below = value <= self.low if self.low_open else value < self.low
        above = value >= self.high if self.high_open else value > self.high
        if below or above:
            left, right = "(" if self.low_open else "[", ")" if self.high_open else "]"
            raise ValueError(f"axes.{self.name}: {value!r} is outside {left}{self.low:g}, {self.high:g}{right}")


AXES: Mapping[str, Axis] = {
    axis.name: axis
    for axis in (
        Axis("attack", "name"),
        Axis("source", "name"),
        Axis("method", "name"),
        Axis("forget_size", "integer", low=1),
        Axis("clean_fraction", "number", high=1, high_open=True),
        Axis("alpha", "number", high=1000),
        Axis("poisoning_rate", "number", high=1, low_open=True),
        Axis("seed", "integer"),
        Axis("learning_rate", "number", low_open=True),
    )
}
