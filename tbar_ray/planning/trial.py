"""A trial: one cell of the ablation."""

from __future__ import annotations

from itertools import product
from typing import Any

from pydantic import BaseModel, ConfigDict

from tbar_ray.planning.methods import alphas_of, searched_parameters
from tbar_ray.spec.campaign import CampaignSpec


class Trial(BaseModel):
    """The values of one cell.

    `learning_rate` None means the method's own; `source` is the attack whose vector is applied, None the
    trial's own attack; `poisoning_rate` None means that the number of poisoned samples is given; `parameters` are
    those that axes `method.parameter` give to the method, sorted by name; `to_beat` is the least validation ASR of
    the search so far, where a trial that cannot come below it is given up.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    attack: str
    source: str | None = None
    method: str
    forget_size: int
    clean_fraction: float
    poisoning_rate: float | None
    seed: int
    learning_rate: float | None
    parameters: tuple[tuple[str, int | float | str | bool | None], ...] = ()
    to_beat: float | None = None
    alphas: tuple[float, ...]

    @property
    def cell(self) -> dict[str, Any]:
        """Return what tells trials apart, without α."""
        return self.model_dump(exclude={"alphas"})

    @property
    def parameters_text(self) -> str | None:
        """Return the searched parameters in a line, None where there are none."""
        shown = (f"{n} {value:.3g}" if isinstance(value, float) else f"{n} {value}" for n, value in self.parameters)
        return ", ".join(shown) or None


def make_trial(spec: CampaignSpec, values: dict[str, Any]) -> Trial:
    """Fill a trial with values of the axes, and the spec's own for the rest."""
    method = values.get("method", spec.unlearning.method)
    attack = values.get("attack", next(iter(spec.attacks)))
    source = values.get("source")
    return Trial(
        attack=attack,
        source=None if source == attack else source,
        method=method,
        forget_size=int(values.get("forget_size", spec.forget.size)),
        clean_fraction=float(values.get("clean_fraction", spec.forget.clean_fraction)),
        poisoning_rate=poisoning_rate(spec, attack, values.get("poisoning_rate")),
        seed=int(values.get("seed", spec.seed)),
        learning_rate=_optional(values.get("learning_rate")),
        parameters=tuple(sorted(searched_parameters(method, values).items())),
        to_beat=_optional(values.get("to_beat")),
        alphas=alphas_of(spec, method, values.get("alpha")),
    )


def poisoning_rate(spec: CampaignSpec, attack: str, chosen: float | None = None) -> float | None:
    """Return an attack's poisoning rate: that of the axis, its own, or the campaign's; None where it has a count."""
    own = spec.attacks[attack].poison
    if chosen is not None:
        return float(chosen)
    if own.rate is not None or own.count is not None:
        return own.rate
    return spec.poison.rate


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
