"""TBAR on Ray: plant backdoors in CLIP models, remove them in weight space, sweep the ablations.

    import tbar_ray as tbar

`docs/python_api.md` shows how. Names are loaded when they are first used, so that the import itself costs nothing, and
none of them needs Ray, MLflow or Optuna.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tbar_ray.api.artifacts import find_artifact, poisoned_keys
    from tbar_ray.api.backdoor import Backdoor
    from tbar_ray.api.classes import Classes
    from tbar_ray.api.estimate import Estimate, estimate, list_methods
    from tbar_ray.api.evaluating import evaluate
    from tbar_ray.api.images import Images, evaluation_set
    from tbar_ray.api.model import Model, load_model
    from tbar_ray.api.rebound import Rebound, rebound
    from tbar_ray.api.requests import forget_set, pairs
    from tbar_ray.api.triggers import list_triggers, trigger
    from tbar_ray.api.walk import Walk
    from tbar_ray.errors import TbarError
    from tbar_ray.evaluation.scores import Scores
    from tbar_ray.onemodel.measure import measure, measure_retrieval
    from tbar_ray.onemodel.saving import save_cleaned
    from tbar_ray.onemodel.scan_record import read_scan
    from tbar_ray.onemodel.scan_report import save_scan
    from tbar_ray.onemodel.scan_result import Scan
    from tbar_ray.onemodel.scanning import scan
    from tbar_ray.onemodel.settings import CleaningSettings
    from tbar_ray.onemodel.workflow import clean_checkpoint, examine_checkpoint

__version__ = "0.1.0"

__all__ = [
    "Backdoor",
    "Classes",
    "CleaningSettings",
    "Estimate",
    "Images",
    "Model",
    "Rebound",
    "Scan",
    "Scores",
    "TbarError",
    "Walk",
    "clean_checkpoint",
    "estimate",
    "evaluate",
    "evaluation_set",
    "examine_checkpoint",
    "find_artifact",
    "forget_set",
    "list_methods",
    "list_triggers",
    "load_model",
    "measure",
    "measure_retrieval",
    "pairs",
    "poisoned_keys",
    "read_scan",
    "rebound",
    "save_cleaned",
    "save_scan",
    "scan",
    "trigger",
]

_HOMES = {
    "Backdoor": "api.backdoor",
    "Classes": "api.classes",
    "CleaningSettings": "onemodel.settings",
    "Estimate": "api.estimate",
    "Images": "api.images",
    "Model": "api.model",
    "Rebound": "api.rebound",
    "Scan": "onemodel.scan_result",
    "Scores": "evaluation.scores",
    "TbarError": "errors",
    "Walk": "api.walk",
    "clean_checkpoint": "onemodel.workflow",
    "estimate": "api.estimate",
    "evaluate": "api.evaluating",
    "evaluation_set": "api.images",
    "examine_checkpoint": "onemodel.workflow",
    "find_artifact": "api.artifacts",
    "forget_set": "api.requests",
    "list_methods": "api.estimate",
    "list_triggers": "api.triggers",
    "load_model": "api.model",
    "measure": "onemodel.measure",
    "measure_retrieval": "onemodel.measure",
    "pairs": "api.requests",
    "poisoned_keys": "api.artifacts",
    "read_scan": "onemodel.scan_record",
    "rebound": "api.rebound",
    "save_cleaned": "onemodel.saving",
    "save_scan": "onemodel.scan_report",
    "scan": "onemodel.scanning",
    "trigger": "api.triggers",
}


def __getattr__(name: str) -> object:
    """Load a public name when it is first used (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module 'tbar_ray' has no attribute {name!r}")
    found: object = getattr(import_module(f"tbar_ray.{_HOMES[name]}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
