"""Studies asked and told as Ray Tune does, without Ray: results come in any order."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from tbar_ray.planning.planner import PlannedTrial, Planner
from tbar_ray.planning.studies import studies_of
from tbar_ray.search.proposals import Objective, Proposal, Proposals
from tbar_ray.search.samplers import StudyProposals
from tests.specs import spec

Settings = Mapping[str, Any]
ATTACKS = ["badnets", "blended"]
AXES: dict[str, Any] = {
    "attack": ATTACKS,
    "learning_rate": {"low": 1e-6, "high": 1e-3, "log": True},
    "clean_fraction": {"low": 0, "high": 0.9},
    "forget_size": {"low": 5, "high": 60},
}


def study(
    sampler: str, trials: int = 9, batch: int = 3, seed: int = 0, axes: Mapping[str, Any] = AXES, **search: Any
) -> StudyProposals:
    objective = search.pop("objective", "tradeoff" if sampler == "nsga2" else "asr")
    made = spec(
        search={
            "sampler": sampler, "trials": trials, "concurrency": batch, "objective": objective,
            "axes": {**axes, "attack": ATTACKS}, **search,
        },
        seed=seed,
    )  # fmt: skip
    (only,) = studies_of(made)
    return StudyProposals(Planner(made), only)


def scored(settings: Settings) -> dict[str, float]:
    """A made-up result, a function of what was proposed."""
    size = settings["forget_size"] / 60
    asr = (settings["clean_fraction"] - 0.3) ** 2 + 0.1 * size + (settings["attack"] == "blended") * 0.2
    return {"penalised_asr": asr, "asr": asr, "ca": 0.9 - size / 3}


def constrained(settings: Settings) -> dict[str, float]:
    """A made-up result, of which sets of more than 30 images cost too much CA."""
    return {**scored(settings), "ca_missing": settings["forget_size"] / 60 - 0.5}


def drive(
    proposals: Proposals,
    order: str = "as proposed",
    batch: int = 3,
    fail: tuple[int, ...] = (),
    result: Callable[[Settings], Objective] = scored,
) -> list[PlannedTrial]:
    """Ask until there is no more, tell results in an order, and again; return all that was proposed."""
    asked: list[Proposal] = []
    while True:
        first = len(asked)
        while (proposal := proposals.next()) is not None:
            asked.append(proposal)
        if len(asked) == first:
            return [proposal.planned for proposal in asked]
        assert len(asked) - first <= batch
        numbers = list(range(first, len(asked)))
        for number in {
            "as proposed": numbers, "backwards": numbers[::-1], "rotated": numbers[1:] + numbers[:1]
        }[order]:  # fmt: skip
            if isinstance(proposals, StudyProposals):
                assert proposals.next() is None, "no proposal while results of a batch are outstanding"
            settings = asked[number].planned.trial.settings
            asked[number].tell({} if number in fail else result(settings))


def settings_of(planned: list[PlannedTrial]) -> list[Settings]:
    return [one.trial.settings for one in planned]
