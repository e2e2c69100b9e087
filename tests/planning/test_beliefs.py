"""Defenders who are wrong about the trigger, without computing anything."""

from __future__ import annotations

from typing import Any

import pytest

from tbar_ray.errors import SpecError
from tbar_ray.planning.graph import TrialGraph
from tbar_ray.planning.planner import Planner, campaign_fingerprint
from tbar_ray.planning.preflight import check_campaign
from tests.specs import spec

BELIEFS: dict[str, dict[str, dict[str, Any]]] = {
    "small": {"badnets": {"parameters": {"patch_size": 4}}, "blended": {"parameters": {"ratio": 0.1}}},
    "other": {"badnets": {"seed": 7}, "blended": {"trigger": "badnets", "parameters": {"patch_size": 5}}},
}
AXES = {"attack": ["badnets", "blended"], "belief": [None, "small", "other"], "method": ["tbar", "clean-finetuning"]}


def graphs(**changes: Any) -> dict[tuple[str, str, object], TrialGraph]:
    planner = Planner(spec(**{"search__axes": AXES, "defender__clean_pairs": 10, "beliefs": BELIEFS, **changes}))
    check_campaign(planner)
    return {(one.trial.attack, one.trial.method, one.trial.settings["belief"]): one.graph for one in planner.grid()}


def test_the_belief_stands_for_the_trigger_in_removal_and_selection_and_nowhere_else() -> None:
    made = graphs()
    right, small, other = (made["badnets", "tbar", belief] for belief in (None, "small", "other"))
    true = right.path.infected.backdoor
    assert right.path.judge is None
    assert right.path.unlearn.backdoor == true
    for graph in (small, other):
        believed = graph.path.unlearn.backdoor
        assert believed != true
        assert believed.target == true.target
        assert graph.path.judge is not None
        assert graph.path.judge.backdoor == believed
        assert graph.path.infected == right.path.infected  # the final measurement is of the true trigger
        assert graph.path.gate == right.path.gate
        assert graph.likeness is None, "nothing was searched"
    assert small.path.unlearn.backdoor.parameters == {**true.parameters, "patch_size": 4}
    assert other.path.unlearn.backdoor.parameters == true.parameters
    assert (other.path.unlearn.backdoor.seed, true.seed) == (7, 0)
    replaced = made["blended", "tbar", "other"].path.unlearn.backdoor
    assert (replaced.trigger, replaced.parameters["patch_size"]) == ("badnets", 5)


def test_a_method_that_needs_no_trigger_shares_its_edit_and_not_the_choice_of_alpha() -> None:
    made = graphs()
    right, wrong = made["badnets", "clean-finetuning", None], made["badnets", "clean-finetuning", "small"]
    assert right.path.unlearn == wrong.path.unlearn
    assert right.path != wrong.path


def test_who_is_right_has_the_trials_that_there_were_before_beliefs_existed() -> None:
    before = Planner(spec(search__axes={"attack": ["badnets"]}))
    now = Planner(spec(search__axes={"attack": ["badnets"], "belief": [None]}, beliefs=BELIEFS))
    assert [one.fingerprint for one in before.grid()] == [one.fingerprint for one in now.grid()]
    assert campaign_fingerprint(spec()) == campaign_fingerprint(spec(beliefs={}, defender__believes=None))
    assert campaign_fingerprint(spec()) != campaign_fingerprint(spec(beliefs=BELIEFS))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"search__axes": {**AXES, "belief": ["smal"]}},
            r"search.axes.belief: 'smal': defender.believes: 'smal' is not under 'beliefs'; did you mean 'small'\?",
        ),
        (
            {"beliefs": {**BELIEFS, "other": {"badnets": {"seed": 7}}}},
            r"search.axes.belief: 'other': beliefs.other: says nothing of the attack 'blended'; add it",
        ),
        (
            {"beliefs": {**BELIEFS, "other": {"badnet": {}, "blended": {}}}},
            r"beliefs.other: 'badnet' is not under 'attacks'; did you mean 'badnets'",
        ),
        (
            {"beliefs": {**BELIEFS, "small": {"badnets": {"parameters": {"patchsize": 4}}, "blended": {}}}},
            r"search.axes.belief: 'small': beliefs.small.badnets: trigger 'badnets': patchsize",
        ),
        (
            {"beliefs": {**BELIEFS, "other": {"badnets": {"trigger": "badnet"}, "blended": {}}}},
            r"search.axes.belief: 'other': beliefs.other.badnets: unknown trigger 'badnet'; did you mean 'badnets'",
        ),
        (
            {"beliefs": {**BELIEFS, "other": {"badnets": {"trigger": "badclip/sigg"}, "blended": {}}}},
            r"search.axes.belief: 'other': beliefs.other.badnets: .*'badclip/sigg'",
        ),
        ({"defender__inversion": "decree"}, r"defender.believes: who searches for the trigger believes nothing of it"),
    ],
    ids=["name", "attack left out", "unknown attack", "parameter", "trigger", "preset", "search"],
)
def test_a_belief_that_cannot_be_is_told_before_the_start(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError, match=message) as caught:
        graphs(**changes)
    assert "\n" not in str(caught.value)
