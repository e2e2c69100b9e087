"""The parameters of runs: those of a trial, and the whole spec of a campaign, by their paths."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from tbar_ray.dotted import is_set, leaves
from tbar_ray.planning.planner import HOW_IT_RUNS, PlannedTrial
from tbar_ray.records.cells import OF_ATTACK
from tbar_ray.records.record import TrialRecord
from tbar_ray.redaction import redact_all
from tbar_ray.spec.campaign import CampaignSpec

OF_TRIAL = {"model", "poison", "forget", "defender", "evaluation", "search"}
"""Sections of a trial's spec that are its parameters; attack and method are told by what they resolve to."""
OF_OTHERS = {
    "model": {"training"}, "poison": {"training"}, "search": {"axes", "trials", "study", "mean_over", "concurrency"},
}  # fmt: skip
"""What of them is told by the runs of trainings and by the campaign's: a thousand trials need not repeat it."""
LONGEST = 6000
"""Letters of a parameter's value: the server's limit."""
Parameters = dict[str, str]


def parameters_of(record: TrialRecord, planned: PlannedTrial | None = None) -> Parameters:
    """Parameters of a trial's run: its axes, what its attack fixes, α where it was selected, numbers of test images.

    With its plan also what of its resolved spec has a value: `model.architecture`, `evaluation.min_retention`,
    `method.learning_rate`, `attack.patch_size`, ….
    """
    fixed = {name: getattr(record, name) for name in OF_ATTACK}
    counts = {f"n.{metric}": rate.n for metric in ("ca", "asr", "pa") if (rate := record.rate(metric)) is not None}
    told = {**record.settings, **fixed, "alpha": record.alpha, "statistics": record.statistics, **counts}
    resolved = {} if planned is None else _resolved(planned)
    return {**resolved, **{name: str(value) for name, value in told.items() if value is not None}}


def parameters_of_campaign(spec: CampaignSpec) -> Parameters:
    """A spec as parameters; what changes no result is left out, since a parameter never changes."""
    content = spec.model_dump(mode="json", exclude={"name": True, "description": True, "resources": HOW_IT_RUNS})
    return flat(redact_all(content))


def _resolved(planned: PlannedTrial) -> Parameters:
    trial, path = planned.trial, planned.graph.path
    told = {
        **trial.spec.model_dump(mode="json", include=OF_TRIAL, exclude=OF_OTHERS),
        "attack": path.infected.backdoor.parameters,
        "method": path.unlearn.parameters,
        "alphas": list(trial.alphas),
    }
    return flat(redact_all(told))


def flat(content: Mapping[str, Any]) -> Parameters:
    """Values by their paths; lists are JSON, and what has no value is left out.

    Signs that MLflow does not allow in a path become `_`, and of paths that are equal then the later ones have more.
    """
    found: Parameters = {}
    for path, value in leaves(content):
        if not is_set(value):
            continue
        name = re.sub(r"[^\w.\- :/]", "_", path)
        while name in found:
            name += "_"
        found[name] = _text(value)[:LONGEST]
    return found


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list | tuple) else str(value)
