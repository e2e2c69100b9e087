"""The axes of a spec: what varies between trials, and how it is searched."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from tbar_ray.spec.section import Section

Sampler = Literal["grid", "random", "tpe", "gp", "nsga2"]


class AxisRange(Section):
    """A range that a sampler searches: numbers or, with `integer`, whole numbers; `log` spaces it by factors."""

    low: float = Field(description="least value")
    high: float = Field(description="largest value")
    log: bool = Field(default=False, description="space the range by factors")
    integer: bool = Field(default=False, description="whole numbers; fields that are whole numbers set it themselves")

    @model_validator(mode="after")
    def _ordered(self) -> AxisRange:
        if not self.low < self.high:
            raise ValueError(f"low {self.low} is not below high {self.high}")
        if self.log and self.low <= 0:
            raise ValueError("log needs low > 0")
        return self


class Search(Section):
    """What varies, and how it is searched."""

    sampler: Sampler = Field(default="grid", description="grid: every cell; the others are Optuna's")
    axes: dict[str, list[Any] | AxisRange] = Field(
        default_factory=dict,
        description="values, or for a sampler a range, by a path of the spec (forget.size, model.training.epochs), by "
        "METHOD.PARAMETER, or by a short name: attack, source, method, forget_size, clean_fraction, alpha, "
        "poisoning_rate, seed, inversion, belief, learning_rate",
    )
    trials: int | None = Field(default=None, ge=1, description="trials; for grid: all cells")
    objective: Literal["asr", "tradeoff", "infected_asr"] = Field(
        default="asr",
        description="asr: least ASR subject to min_retention; tradeoff: CA and ASR together; infected_asr: the "
        "attacker's, most ASR of the infected model subject to poison.max_ca_drop, whether or not the attack takes",
    )
    study: Literal["whole", "per method", "per attack"] = Field(
        default="whole",
        description="per method, per attack: a search of `trials` trials for each value of the axis 'method' or "
        "'attack'",
    )
    mean_over: list[str] = Field(
        default_factory=list,
        description="axes, such as attack or seed: a sampler runs each proposal at all values and is told the mean; "
        "`trials` counts proposals",
    )
    concurrency: Annotated[int, Field(ge=1)] | Literal["auto"] = Field(
        default=4,
        description="trials in flight; part of a sampler's determinism. auto (grids): as the cluster grows",
    )
    prune: bool = Field(
        default=False, description="give up a trial of a sampler that cannot come below the least ASR so far"
    )

    @field_validator("concurrency", mode="before")
    @classmethod
    def _number_or_auto(cls, value: object) -> object:
        if value != "auto" and not (isinstance(value, int) and value >= 1):
            raise ValueError("give a whole number of 1 or more, or auto")
        return value

    @property
    def batch(self) -> int:
        """Trials that a sampler proposes at once."""
        assert self.concurrency != "auto"
        return self.concurrency

    @property
    def studied(self) -> str | None:
        """The axis of which each value has a search of its own; None for one search."""
        return None if self.study == "whole" else self.study.removeprefix("per ")

    @model_validator(mode="after")
    def _sound(self) -> Search:
        for name, axis in self.axes.items():
            if isinstance(axis, list) and not axis:
                raise ValueError(f"axes.{name}: the list is empty")
            if isinstance(axis, AxisRange) and self.sampler == "grid":
                raise ValueError(f"axes.{name}: sampler 'grid' needs a list of values, not a range")
        if self.sampler != "grid" and self.trials is None:
            raise ValueError(f"trials: sampler {self.sampler!r} needs a number of trials")
        if self.sampler != "grid" and self.concurrency == "auto":
            raise ValueError("concurrency: what a sampler proposes depends on it; give a number")
        if (axis_of := self.studied) and (self.sampler == "grid" or not isinstance(self.axes.get(axis_of), list)):
            raise ValueError(f"study: {self.study!r} needs a sampler and a list of {axis_of}s on the axis {axis_of!r}")
        if self.study == "per attack" and "source" in self.axes:
            raise ValueError("study: 'per attack' has no axis 'source': a vector of another attack's model needs two")
        for name in self.mean_over:
            if self.sampler == "grid" or not isinstance(self.axes.get(name), list):
                raise ValueError(f"mean_over: {name!r} needs a sampler and a list of values in search.axes")
        if self.mean_over and self.prune:
            raise ValueError("mean_over: a trial is not pruned against a mean; leave out prune")
        if self.studied in self.mean_over:
            raise ValueError(
                f"mean_over: study {self.study!r} has a search for each {self.studied}, not a mean over them"
            )
        if self.prune and (self.sampler == "grid" or self.objective != "asr"):
            raise ValueError("prune: a grid shows every cell, and only objective asr has a least ASR to come below")
        if self.sampler == "nsga2" and self.objective != "tradeoff":
            raise ValueError("objective: sampler 'nsga2' searches a front; set objective: tradeoff")
        return self
