"""A trial: one cell of the ablation."""

from __future__ import annotations

from itertools import product
from typing import Any

from pydantic import BaseModel, ConfigDict

from tbar_ray.campaign.spec import CampaignSpec


class Trial(BaseModel):
    """The values of one cell; `learning_rate` None means the method's own."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    attack: str
    method: str
    forget_size: int
    clean_fraction: float
    poisoning_rate: float | None
    seed: int
    learning_rate: float | None
    alphas: tuple[float, ...]

    @property
    def cell(self) -> dict[str, Any]:
        """Return what tells trials apart, without α."""
        return self.model_dump(exclude={"alphas"})


def make_trial(spec: CampaignSpec, values: dict[str, Any]) -> Trial:
    """Fill a trial with values of the axes, and the spec's own for the rest."""
    alpha = values.get("alpha")
    return Trial(
        attack=values.get("attack", next(iter(spec.attacks))),
        method=values.get("method", spec.unlearning.method),
        forget_size=int(values.get("forget_size", spec.forget.size)),
        clean_fraction=float(values.get("clean_fraction", spec.forget.clean_fraction)),
        poisoning_rate=_optional(values.get("poisoning_rate", spec.poison.rate)),
        seed=int(values.get("seed", spec.seed)),
        learning_rate=_optional(values.get("learning_rate")),
        alphas=tuple(spec.alpha) if alpha is None else (float(alpha),),
    )


def grid_trials(spec: CampaignSpec) -> list[Trial]:
    """Return every cell of a grid once, at most `search.trials` of them.

    The attack varies fastest, so that several attacks are planted side by side.
    """
    order = sorted(spec.search.axes, key=lambda name: name == "attack")
    lists = [axis if isinstance(axis, list) else [] for axis in (spec.search.axes[name] for name in order)]
    trials = [make_trial(spec, dict(zip(order, values, strict=True))) for values in product(*lists)]
    return list(dict.fromkeys(trials))[: spec.search.trials]


def _optional(value: Any) -> float | None:
    return None if value is None else float(value)
