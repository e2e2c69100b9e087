"""Where trials come from beside a study of its own: a list, and a study for every method."""

from __future__ import annotations

from collections import Counter
from typing import Any

from tbar_ray.planning.planner import Planner
from tbar_ray.search.proposals import GivenTrials, Objective, Proposal, Proposals, SeparateStudies
from tbar_ray.search.samplers import build_proposals
from tbar_ray.spec.campaign import CampaignSpec
from tests.search.proposing import drive, settings_of
from tests.specs import spec

AXES: dict[str, Any] = {
    "method": ["tbar", "gentle", "cleanclip"],
    "gentle.learning_rate": {"low": 1e-6, "high": 1e-4, "log": True},
    "cleanclip.steps": {"low": 2, "high": 9},
}


def several(methods: list[str], concurrency: int, trials: int = 3, sampler: str = "random") -> CampaignSpec:
    axes = {name: axis for name, axis in AXES.items() if name.split(".")[0] in methods}
    search = {"sampler": sampler, "trials": trials, "study": "per method", "concurrency": concurrency}
    return spec(
        attacks__blended=...,
        methods={"gentle": {"method": "tbar", "parameters": {"steps": 3}}},
        defender={"clean_pairs": 50},
        search={**search, "axes": {**axes, "method": methods}},
    )


def half(_: Any) -> Objective:
    return {"penalised_asr": 0.5}


def test_a_list_is_handed_out_in_its_order_and_waits_for_nothing() -> None:
    planned = Planner(spec()).grid()
    given = GivenTrials(planned)
    found = [given.next() for _ in planned]
    assert [proposal.planned for proposal in found if proposal is not None] == planned
    assert given.next() is None


def test_every_method_has_a_search_of_its_own_axes_alone() -> None:
    proposals = build_proposals(Planner(several(["tbar", "gentle", "cleanclip"], 2)))
    planned = drive(proposals, batch=2, result=half)
    # nothing of TBAR's is searched: one trial
    assert Counter(one.trial.method for one in planned) == {"tbar": 1, "gentle": 3, "cleanclip": 3}
    for settings in settings_of(planned):
        assert {name for name in settings if "." in name} == {
            name for name in AXES if name.startswith(f"{settings['method']}.")
        }


def test_what_one_method_is_proposed_does_not_depend_on_the_others() -> None:
    def proposed(methods: list[str]) -> list[Any]:
        numbers = iter(range(100))
        proposals = build_proposals(Planner(several(methods, 1, 12, "tpe")))
        found = drive(proposals, batch=1, result=lambda _: {"penalised_asr": next(numbers) % 4 / 4})
        return [settings for settings in settings_of(found) if settings["method"] == "cleanclip"]

    alone = proposed(["cleanclip"])
    assert len(alone) == 12
    assert proposed(["gentle", "cleanclip"]) == alone


class Told(Proposals):
    """Hands out one trial again and again, and keeps what it is told."""

    def __init__(self) -> None:
        (self._planned, *_) = Planner(spec()).grid()
        self.told: list[Objective] = []

    def next(self) -> Proposal | None:
        return Proposal(self._planned, self.told.append)


def test_all_studies_together_run_no_more_trials_than_allowed_and_each_hears_its_own_results() -> None:
    first, second = Told(), Told()
    both = SeparateStudies([first, second], concurrency=2)
    one, other = both.next(), both.next()
    assert one is not None
    assert other is not None
    assert both.next() is None
    one.tell({"penalised_asr": 0.25})
    again = both.next()
    assert again is not None
    assert both.next() is None
    again.tell({})
    assert first.told == [{"penalised_asr": 0.25}, {}]
    assert second.told == []


def test_every_attack_has_a_search_of_its_own_axes_alone() -> None:
    axes = {
        "attack": ["badnets", "blended"],
        "poisoning_rate": {"low": 0.01, "high": 0.1},
        "attacks.blended.parameters.ratio": {"low": 0.1, "high": 0.3},
    }
    search = {"sampler": "random", "trials": 3, "study": "per attack", "concurrency": 2, "objective": "infected_asr"}
    proposals = build_proposals(Planner(spec(search={**search, "axes": axes})))
    found = settings_of(drive(proposals, batch=2, result=lambda _: {"infected_asr": 0.5}))
    assert Counter(settings["attack"] for settings in found) == {"badnets": 3, "blended": 3}
    for settings in found:
        assert ("attacks.blended.parameters.ratio" in settings) == (settings["attack"] == "blended")
    assert len({(settings["attack"], settings["poisoning_rate"]) for settings in found}) == 6
