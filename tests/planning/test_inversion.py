"""Campaigns in which the defender has to search for the trigger, without computing anything."""

from __future__ import annotations

from typing import Any

import pytest

from tbar_ray.errors import SpecError
from tbar_ray.planning.graph import TrialGraph
from tbar_ray.planning.planner import Planner
from tbar_ray.planning.preflight import check_campaign
from tbar_ray.stages.invert import ProxyBackdoor
from tbar_ray.stages.node import stages_in_order
from tests.specs import spec

AXES = {"attack": ["badnets"], "inversion": [None, "decree"], "method": ["tbar", "clean-finetuning"]}


def graphs(**changes: Any) -> dict[tuple[str, object], TrialGraph]:
    planner = Planner(spec(search__axes=AXES, defender__clean_pairs=10, **changes))
    check_campaign(planner)
    return {(one.trial.method, one.trial.settings["inversion"]): one.graph for one in planner.grid()}


def test_the_proxy_stands_for_the_trigger_in_removal_and_selection_and_nowhere_else() -> None:
    made = graphs()
    told, searched = made["tbar", None], made["tbar", "decree"]
    assert told.path.judge is None
    assert told.likeness is None
    proxy = searched.path.unlearn.backdoor
    assert isinstance(proxy, ProxyBackdoor)
    assert searched.path.judge is not None
    assert searched.path.judge.backdoor == proxy
    assert searched.path.infected == told.path.infected  # the final measurement is of the true trigger
    assert searched.likeness is not None
    assert searched.likeness.backdoor == told.path.infected.backdoor
    assert "proxy" in [stage.kind for stage in stages_in_order(searched.outputs)]


def test_methods_share_one_search_and_a_method_that_needs_no_trigger_shares_its_edit() -> None:
    made = graphs()
    searches = {graph.likeness.proxy.search.fingerprint for graph in made.values() if graph.likeness is not None}
    assert len(searches) == 1
    assert made["clean-finetuning", None].path.unlearn == made["clean-finetuning", "decree"].path.unlearn
    assert made["clean-finetuning", None].path != made["clean-finetuning", "decree"].path


def test_a_trial_that_is_told_is_what_it_was_before_searches_existed() -> None:
    assert "judge" not in graphs()["tbar", None].path.identity()


def test_parameters_and_images_are_part_of_the_search() -> None:
    def search(**entry: Any) -> Any:
        made = graphs(inversions={"decree": entry})["tbar", "decree"]
        assert made.likeness is not None
        return made.likeness.proxy.search

    plain = search()
    assert plain.parameters["starts"] == 1  # defaults too
    assert search(parameters={"starts": 3}).fingerprint != plain.fingerprint
    assert search(images=64).fingerprint != plain.fingerprint


def test_a_search_that_does_not_exist_or_cannot_work_is_refused_in_one_line() -> None:
    for changes, line in (
        ({"defender__inversion": "decre"}, r"^defender\.inversion: unknown inversion 'decre'; did you mean 'decree'"),
        (
            {
                "defender__inversion": "mine",
                "inversions": {"mine": {"inversion": "decree", "parameters": {"starts": 0}}},
            },
            r"^inversions\.mine: inversion 'decree': starts",
        ),
        ({"defender__inversion": "decree", "poison__plant": "together"}, r"^defender\.inversion: several backdoors"),
    ):
        with pytest.raises(SpecError, match=line):
            check_campaign(Planner(spec(**changes)))
