"""Methods by name: what a spec says of them, the axes of their parameters, what they need, how they are compared."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from matplotlib.text import Text
from pydantic import ValidationError

from tbar_ray.errors import SpecError
from tbar_ray.planning.foundation import lay_foundation
from tbar_ray.planning.methods import alphas_of, build_method, is_integer, lacking, used_methods
from tbar_ray.planning.preflight import check_spec
from tbar_ray.planning.trial import grid_trials, make_trial
from tbar_ray.report.figures.methods import methods_figure
from tbar_ray.report.methods import methods_table
from tbar_ray.search.samplers import StudyPerMethod, build_searcher, searched_trials
from tbar_ray.spec.campaign import CampaignSpec
from tests.records.records import failed, infeasible, record
from tests.report.reading import rows_of
from tests.specs import spec

AXES: dict[str, Any] = {
    "method": ["tbar", "gentle", "cleanclip"],
    "gentle.learning_rate": {"low": 1e-6, "high": 1e-4, "log": True},
    "cleanclip.steps": {"low": 2, "high": 9},
}


def several(**changes: Any) -> CampaignSpec:
    """A campaign of three methods, one of them TBAR under a name of its own."""
    sound: dict[str, Any] = {
        "attacks__blended": ...,
        "methods": {"gentle": {"method": "tbar", "parameters": {"steps": 3}, "alpha": [1, 2]}},
        "defender": {"clean_pairs": 50},
        "alpha": [0, 0.5, 1],
        "search__axes": {"method": ["tbar", "gentle", "cleanclip"]},
    }
    return spec(**{**sound, **changes})


def check(made: CampaignSpec) -> None:
    check_spec(made, lay_foundation(made))


def test_a_name_stands_for_a_method_with_parameters_and_strengths_of_its_own() -> None:
    made = several()
    check(made)
    assert used_methods(made) == ["tbar", "gentle", "cleanclip"]
    gentle = build_method(made, "gentle", {"learning_rate": 2e-5})
    assert (gentle.name, gentle.steps, gentle.learning_rate) == ("tbar", 3, 2e-5)  # type: ignore[attr-defined]
    assert [alphas_of(made, name, None) for name in used_methods(made)] == [(0, 0.5, 1), (1, 2), (1,)]
    assert alphas_of(made, "gentle", 0.3) == (0.3,)
    assert alphas_of(made, "cleanclip", 0.3) == (1.0,), "α means nothing to it"
    assert {trial.method: trial.alphas for trial in grid_trials(made)}["cleanclip"] == (1.0,)


def test_a_methods_parameters_are_axes_of_its_own_trials() -> None:
    made = several(search={"sampler": "random", "trials": 4, "axes": AXES})
    check(made)
    values = {"method": "gentle", "gentle.learning_rate": 3e-5, "cleanclip.steps": 4}
    trial = make_trial(made, values)
    assert trial.parameters == (("learning_rate", 3e-5),)
    assert trial.parameters_text == "learning_rate 3e-05"
    assert make_trial(made, {**values, "method": "tbar"}).parameters_text is None
    assert is_integer(made, "cleanclip.steps")
    assert not is_integer(made, "gentle.learning_rate")


def test_every_method_gets_a_search_of_its_own() -> None:
    made = several(search={"sampler": "random", "trials": 3, "study": "per method", "concurrency": 2, "axes": AXES})
    check(made)
    assert searched_trials(made) == 1 + 3 + 3, "TBAR has nothing to search"
    search = build_searcher(made)
    assert isinstance(search, StudyPerMethod)
    proposed: list[dict[str, Any]] = []
    while True:
        batch = []
        while (values := search.suggest(f"t{len(proposed) + len(batch)}")) is not None:
            batch.append((f"t{len(proposed) + len(batch)}", values))
        assert len(batch) <= 2
        if not batch:
            break
        for name, values in batch:
            search.on_trial_complete(name, {"penalised_asr": 0.5, "ca": 0.5, "asr": 0.5})
            proposed.append(values)
    assert Counter(values["method"] for values in proposed) == {"tbar": 1, "gentle": 3, "cleanclip": 3}
    assert all(
        set(values) == {"method"} | {axis for axis in AXES if axis.startswith(f"{values['method']}.")}
        for values in proposed
    )
    assert all(isinstance(v["cleanclip.steps"], int) for v in proposed if "cleanclip.steps" in v)


def test_what_one_method_is_proposed_does_not_depend_on_the_others() -> None:
    def proposals(methods: list[str]) -> list[dict[str, Any]]:
        axes = {"method": methods, **{a: v for a, v in AXES.items() if a.split(".")[0] in methods and a != "method"}}
        made = several(search={"sampler": "tpe", "trials": 4, "study": "per method", "concurrency": 1, "axes": axes})
        search, found = build_searcher(made), []
        while (values := search.suggest(str(len(found)))) is not None:
            found.append(values)
            search.on_trial_complete(str(len(found) - 1), {"penalised_asr": 0.1 * len(found), "ca": 1, "asr": 0})
        return [values for values in found if values["method"] == "cleanclip"]

    assert proposals(["cleanclip"]) == proposals(["gentle", "cleanclip"])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"defender": {"clean_pairs": 0}}, "'cleanclip' needs the defender's clean pairs, .*defender.clean_pairs"),
        ({"defender": {"clean_pairs": 5, "knows": []}}, "'tbar' needs the defender's .*, and there is none; list "),
        ({"defender": {"clean_pairs": 5, "knows": ["trigger"]}}, "method 'tbar' needs the defender's target"),
        ({"search__axes": {"method": ["abl"]}}, "'abl' needs the defender's training pairs, .*defender.training_pairs"),
        ({"methods": {"gentle": {"method": "tbarr"}}}, "methods.gentle: unknown unlearning method 'tbarr'"),
        (
            {"methods": {"gentle": {"method": "tbar", "parameters": {"stepz": 1}}}},
            "methods.gentle: unlearning method 'tbar': stepz: .*did you mean 'steps'",
        ),
        (
            {"search__axes": {"method": ["tbar", "gentle", "cleanclip"], "gentle.steps": [0, 3]}},
            "methods.gentle: unlearning method 'tbar': steps: Input should be greater than or equal to 1",
        ),
        (
            {"search__axes": {"method": ["tbar", "gentle", "cleanclip"], "gentle.stepz": [3]}},
            "methods.gentle: .*stepz",
        ),
    ],
)  # fmt: skip
def test_preflight_refuses_what_cannot_run(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError, match=message) as caught:
        check(several(**changes))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"search__axes": {"method": ["tbar"], "gentle.steps": [3]}}, "no trial has the method 'gentle'"),
        (
            {"search": {"sampler": "tpe", "trials": 3, "study": "per method", "axes": {"forget_size": [10, 20]}}},
            "needs a sampler and a list of methods",
        ),
        ({"methods": {"gentle": {"method": "tbar", "alpha": []}}}, "at least 1 item"),
        ({"defender": {"knows": ["everything"]}}, "trigger"),
    ],
)
def test_a_spec_that_makes_no_sense_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        several(**changes)


def test_a_defender_lacks_what_he_neither_has_nor_knows() -> None:
    made = several(defender={"knows": ["target"], "training_pairs": 3})
    assert lacking(made, frozenset({"target", "training pairs"})) is None
    found = lacking(made, frozenset({"forget set", "clean pairs"}))
    assert found is not None
    assert found[0] == "forget set"


def cost(samples: int, seconds: float) -> dict[str, Any]:
    return {"data": 300, "samples": samples, "steps": 20, "seconds": seconds, "peak_memory": 50_000_000}


def compared() -> list[dict[str, Any]]:
    """One attack, three methods of two seeds: one keeps CA, one does not, one failed."""
    return [
        *(record(seed=s, method="tbar", cost=cost(2560, 4.0 + s)) for s in (0, 1)),
        *(record(seed=s, method="weak", cost=cost(512, 1.0), alphas=(0.0, 0.1)) for s in (0, 1)),
        *(infeasible(seed=s) | {"method": "harmful", "cost": cost(99, 2.0)} for s in (0, 1)),
        *(failed(seed=s, method="broken", reason="loss is nan at step 3; lower the learning rate") for s in (0, 1)),
    ]


def test_the_table_has_the_best_in_bold_and_says_what_failed() -> None:
    text = methods_table(compared(), max_asr=0.5)
    rows = rows_of(text)
    assert [row["method"] for row in rows] == ["none (infected)", "**tbar**", "weak", "harmful\\*"]
    assert rows[1]["images"] == "**300**"
    assert rows[1]["seen"] == "**2,560**"
    assert rows[1]["memory"] == "**50 MB**"
    assert "[" in rows[1]["ASR"]
    assert "CA is not kept" in text
    assert "broken: 2 trials failed" in text


def test_one_method_needs_no_table() -> None:
    assert methods_table([record(seed=s) for s in (0, 1)], 0.5) == ""


def test_of_a_search_the_best_of_each_method_is_shown() -> None:
    tried = [record(method="tbar", learning_rate=rate, alphas=alphas) for rate, alphas in ((1e-5, (0.0, 0.1)),)]
    tried += [record(method="tbar", learning_rate=1e-4), record(method="weak", alphas=(0.0, 0.1))]
    rows = rows_of(methods_table(tried, 0.5))
    assert [row["method"] for row in rows] == ["none (infected)", "**tbar**", "weak"]


def test_the_figure_has_a_panel_for_each_attack_and_a_curve_where_there_is_a_strength() -> None:
    records = [record(attack, method=m) for attack in ("badnets", "blended") for m in ("tbar", "other")]
    records += [record("badnets", method="alone", alphas=(1.0,))]
    figure = methods_figure(records)
    panels = [axes for axes in figure.axes if axes.get_visible()]
    assert len(panels) == 2
    assert sum(len(line.get_xdata()) > 1 for line in panels[0].lines) == 2
    said = " ".join(text.get_text() for text in methods_figure([]).findobj(Text))
    assert "No trial has a result" in said
