"""The view in which MLflow's UI opens a campaign: its trials, with the axes that vary beside their scores.

MLflow keeps views that people share as tags of the experiment; a link names one (`viewStateShareKey`). This is such a
view, so that it needs no page of ours. Without it, MLflow shows a table of names, and charts of the first parameters.
"""

from __future__ import annotations

import json
from typing import Any

from tbar_ray.planning.axes import ALIASES
from tbar_ray.spec.campaign import CampaignSpec
from tbar_ray.tracking.tags import CAMPAIGN, KIND

SHARED = "mlflow.sharedViewState."
"""Begins the tag of a shared view; its key follows."""
SCORES = ("asr", "ca", "pa", "retention")
SECTIONS = ("tbar-axes", "tbar")
"""Identities of the sections of charts: the axes over the full width, then the others in two columns."""


def view_of(spec: CampaignSpec, campaign: str) -> str:
    """The view of a campaign, as MLflow's UI reads it.

    Args:
        spec: the campaign.
        campaign: its fingerprint.
    """
    axes = varying_axes(spec)
    columns = [
        *(f"params.`{axis}`" for axis in axes),
        *(f"metrics.`{score}`" for score in SCORES),
        "params.`alpha`",
        "tags.`tbar.status`",
        "attributes.`Duration`",
    ]
    shown = {"display": True, "isReordered": False, "deleted": False, "isGenerated": False}
    names = {SECTIONS[0]: "axes and scores", SECTIONS[1]: "CA against ASR, and along α"}
    view = {
        "searchFilter": f"tags.`{KIND}` = 'trial' and tags.`{CAMPAIGN}` = '{campaign}'",
        "orderByKey": "metrics.`asr`",
        "orderByAsc": True,
        "selectedColumns": columns,
        "columnOrder": columns,
        "runsHiddenMode": "SHOWALL",
        "compareRunCharts": _charts(axes),
        "compareRunSections": [
            {"uuid": uuid, "name": name, "columns": columns, **shown}
            for columns, (uuid, name) in enumerate(names.items(), start=1)
        ],
    }
    return json.dumps(view)


def varying_axes(spec: CampaignSpec) -> list[str]:
    """The axes with more than one value, by the names that they have as parameters of trials."""
    found = [name for name, axis in spec.search.axes.items() if not isinstance(axis, list) or len(axis) > 1]
    names = [_short(name) for name in found]
    return list(dict.fromkeys(name for name in names if name != "alpha"))


def _short(name: str) -> str:
    """The short name of a path, where it has one."""
    return next((short for short, alias in ALIASES.items() if alias.paths == (name,)), name)


def _charts(axes: list[str]) -> list[dict[str, Any]]:
    """Axes against scores, CA against ASR, and ASR and CA along α as they were measured: MLflow would smooth them."""
    along = {
        "type": "LINE", "xAxisKey": "metric", "selectedXAxisMetricKey": "path.alpha", "useGlobalXaxisKey": False,
        "lineSmoothness": 0, "useGlobalLineSmoothing": False,
    }  # fmt: skip
    first, second = ({"metricSectionId": section} for section in SECTIONS)
    charts: list[dict[str, Any]] = [
        {**first, "type": "PARALLEL", "selectedParams": [*axes, "alpha"], "selectedMetrics": ["asr", "ca", "pa"],
         "showAllRuns": True},
        {**second, "type": "SCATTER", "xaxis": {"key": "asr", "type": "METRIC"},
         "yaxis": {"key": "ca", "type": "METRIC"}},
        *({**second, **along, "metricKey": key, "selectedMetricKeys": [key]} for key in ("path.asr", "path.ca")),
    ]  # fmt: skip
    common = {"deleted": False, "isGenerated": False, "runsCountToCompare": 100}
    return [{"uuid": f"tbar-{number}", **common, **chart} for number, chart in enumerate(charts)]
