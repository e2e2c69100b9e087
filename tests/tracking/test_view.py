from __future__ import annotations

import json

from tbar_ray.tracking.links import compare_page, pages_of, runs_page, ui_address
from tbar_ray.tracking.view import varying_axes, view_of
from tests.specs import spec

LONGEST = 5000
"""Letters of an experiment's tag that every server takes."""


def test_the_axes_that_vary_are_the_columns_beside_the_scores() -> None:
    axes = {
        "attack": ["badnets"], "unlearning.method": ["tbar", "abl"], "forget_size": [10, 20],
        "model.training.epochs": [1, 3], "alpha": [[0.5], [1.0]],
    }  # fmt: skip
    made = spec(name="demo", search__axes=axes, defender={"training_pairs": 10})
    assert varying_axes(made) == ["method", "forget_size", "model.training.epochs"]
    view = json.loads(view_of(made, "1234"))
    assert view["selectedColumns"] == [
        "params.`method`", "params.`forget_size`", "params.`model.training.epochs`", "metrics.`asr`", "metrics.`ca`",
        "metrics.`pa`", "metrics.`retention`", "params.`alpha`", "tags.`tbar.status`", "attributes.`Duration`",
    ]  # fmt: skip
    assert view["searchFilter"] == "tags.`tbar.kind` = 'trial' and tags.`tbar.campaign` = '1234'"
    parallel = view["compareRunCharts"][0]
    assert parallel["selectedParams"] == ["method", "forget_size", "model.training.epochs", "alpha"]
    assert parallel["selectedMetrics"] == ["asr", "ca", "pa"]
    sections = {section["uuid"]: section["columns"] for section in view["compareRunSections"]}
    assert {chart["metricSectionId"] for chart in view["compareRunCharts"]} == sections.keys()
    assert sections[parallel["metricSectionId"]] == 1  # many axes need the width
    assert len({chart["uuid"] for chart in view["compareRunCharts"]}) == len(view["compareRunCharts"])


def test_paths_along_alpha_are_drawn_as_measured() -> None:
    charts = json.loads(view_of(spec(name="demo"), "1234"))["compareRunCharts"]
    lines = {chart["metricKey"]: chart for chart in charts if chart["type"] == "LINE"}
    assert lines.keys() == {"path.asr", "path.ca"}
    for chart in lines.values():
        assert chart["selectedXAxisMetricKey"] == "path.alpha"
        assert (chart["lineSmoothness"], chart["useGlobalLineSmoothing"]) == (0, False)


def test_a_view_of_many_axes_fits_into_a_tag() -> None:
    axes = {f"attacks.badnets.parameters.p{number}": [1, 2] for number in range(20)}
    made = spec(search__axes={"attack": ["badnets"], **axes})
    assert len(view_of(made, "1" * 16)) < LONGEST


def test_a_range_of_a_sampler_varies() -> None:
    axes = {"attack": ["badnets"], "forget_size": {"low": 5, "high": 50}}
    assert varying_axes(spec(search={"sampler": "tpe", "trials": 3, "axes": axes})) == ["forget_size"]


def test_pages_are_those_of_a_server_or_of_tbar_ui() -> None:
    assert ui_address("https://me:secret@host:8080/mlflow/") == "https://host:8080/mlflow"
    address = ui_address("sqlite:////data/mlflow.db", 5001)
    page = runs_page(address, "7", "1234")
    assert page == ("http://127.0.0.1:5001/#/experiments/7/runs?workflowType=machine_learning&viewStateShareKey=1234")
    assert compare_page(address, "7", "1234") == f"{page}&compareRunsMode=CHART"
    assert list(pages_of("http://host", "7", "1234")) == ["runs", "compare"]
    assert pages_of("http://host", "", "1234") == {}
