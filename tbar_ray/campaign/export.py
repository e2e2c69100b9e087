"""The cleaned model of a trial as a file: the weights that were scored, in the format that the model came in."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tbar_ray.errors import SpecError, StoreError
from tbar_ray.planning.planner import PlannedTrial, Planner, campaign_fingerprint
from tbar_ray.records.ledger import Ledger
from tbar_ray.records.names import best_trial, find_trial, run_name
from tbar_ray.records.record import TrialRecord
from tbar_ray.spec.campaign import CampaignSpec
from tbar_ray.store.store import Store

if TYPE_CHECKING:
    from torch import Tensor

    from tbar_ray.api.beside import Beside
    from tbar_ray.stages.alpha_scores import AlphaScores
    from tbar_ray.unlearning.base import Unlearner


@dataclass(frozen=True)
class Exported:
    """A trial's model that was written.

    Attributes:
        record: the trial.
        why: why this one.
        files: the weights, of a folder its other files, and what is beside them.
        manifest: `FILE.manifest.json`.
    """

    record: TrialRecord
    why: str
    files: tuple[Path, ...]
    manifest: Path


def export_trial(
    spec: CampaignSpec, store: Store, out: str | Path, trial: str | None = None, *, command: Sequence[str] = ()
) -> Exported:
    """Write θ_b + coefficient·τ of a trial at its selected α, with a manifest.

    A given infected model that came as a folder of open_clip or transformers can be written as one.

    Running statistics are re-estimated as they were for the trial's scores. A classifier or tokens of the method go to
    a second file, `<name>.beside.safetensors`.

    Args:
        spec: the campaign.
        store: with its artifacts.
        out: `.safetensors` or a torch file, by its suffix, or a folder (`check_out`).
        trial: fingerprint or name (`find_trial`); None: the best on validation.
        command: the words that were typed, for the manifest.

    Raises:
        SpecError: if there is no such trial, it has selected no α, or `out` cannot be written.
        StoreError: if the campaign has no trial, or an artifact that is needed is gone.
        CheckpointError: if the file cannot be written.
    """
    from tbar_ray.api.beside import Beside
    from tbar_ray.api.model import Model
    from tbar_ray.onemodel.manifest import basis, write_manifest
    from tbar_ray.onemodel.writing import check_out, write_cleaned

    records = Ledger(store, spec).read()
    if not records:
        raise StoreError(f"store {store.url} has no trial of campaign {spec.name}; run it first")
    record = best_trial(records) if trial is None else find_trial(records, trial)
    why = "you named it"
    if trial is None:
        why = f"of {len(records)} trials the best on validation: enough CA kept, then least ASR, then most CA"
    if record.alpha is None:
        raise SpecError(
            f"trial {record.fingerprint[:8]} ({run_name(record)}) has no α: {record.reason or record.status}"
        )
    planned = planned_trial(spec, record)
    original = _original(planned, store)
    path = check_out(out, original)
    coefficient = _method(planned).coefficient(record.alpha)
    with _scores(planned, store).validation.at(record.alpha) as (module, head):
        beside = _beside(planned, store, head) if coefficient != 0 else Beside()
        model = Model(module, planned.graph.path.infected.model.architecture, beside)
        files = write_cleaned(model, original, path)
    content = {
        **basis(files, command),
        **_told(spec, planned, record, original),
        "why": why,
        "alpha": record.alpha,
        "coefficient": coefficient,
    }
    return Exported(record, why, tuple(files), write_manifest(content, path))


def planned_trial(spec: CampaignSpec, record: TrialRecord, planner: Planner | None = None) -> PlannedTrial:
    """The stages of a trial that a record tells of.

    Args:
        spec: the campaign.
        record: the trial.
        planner: of the campaign, where several trials are planned.

    Raises:
        StoreError: if this version of the program plans others for it.
    """
    planner = planner or Planner(spec)
    values: dict[str, Any] = {
        name: _value(record.settings[name]) for name in spec.search.axes if record.settings.get(name) is not None
    }
    values |= {"attack": record.attack}
    if record.transferred:
        values["source"] = record.source
    if "alpha" in spec.search.axes:
        values["alpha"] = list(record.alphas)
    planned = planner.plan(values)
    used = {use.artifact for use in record.stages}
    if not {planned.graph.path.unlearn.artifact, planned.graph.path.infected.artifact} <= used:
        raise StoreError(
            f"trial {record.fingerprint[:8]}: spec and program no longer plan what it computed; run the campaign again"
        )
    return planned


def _value(setting: Any) -> Any:
    """The value of an axis; lists and mappings are JSON in a record."""
    return json.loads(setting) if isinstance(setting, str) and setting[:1] in ("[", "{") else setting


def _original(planned: PlannedTrial, store: Store) -> Path | None:
    """The file or folder of the model that was cleaned; None for a tag of open_clip."""
    from tbar_ray.models.checkpoint import is_weights_file
    from tbar_ray.models.factory import weights_file

    weights = planned.graph.path.infected.model.pretrained(store)
    return weights_file(weights) if is_weights_file(weights) else None


def _method(planned: PlannedTrial) -> Unlearner:
    from tbar_ray.unlearning.registry import build_unlearner

    unlearn = planned.graph.path.unlearn
    return build_unlearner(unlearn.method, unlearn.parameters)


def _scores(planned: PlannedTrial, store: Store) -> AlphaScores:
    import torch

    return planned.graph.path.models(store, torch.device("cuda" if torch.cuda.is_available() else "cpu"))


def _beside(planned: PlannedTrial, store: Store, head: Tensor | None) -> Beside:
    """What the edit of a trial puts beside the weights; `head` is its classifier, mixed at α."""
    from tbar_ray.api.beside import Beside
    from tbar_ray.unlearning.edit import Edit

    path = planned.graph.path
    edit = Edit.load(store.fetch(path.unlearn.artifact))
    if edit.head is None:
        return Beside(prompts=edit.prompts)
    return Beside(head, tuple(path.infected.open_data(store).classnames), edit.prompts)


def _told(spec: CampaignSpec, planned: PlannedTrial, record: TrialRecord, original: Path | None) -> dict[str, Any]:
    """What the manifest says of campaign, trial, input and scores."""
    from tbar_ray.onemodel.opening import file_facts

    unlearn = planned.graph.path.unlearn
    scored = {"before": record.infected, "after": record.removed}
    return {
        "campaign": {"name": spec.name, "fingerprint": campaign_fingerprint(spec)},
        "trial": {
            "fingerprint": record.fingerprint,
            "name": run_name(record),
            "settings": dict(record.settings),
            "artifacts": [use.artifact for use in record.stages],
        },
        "input": {
            "architecture": planned.graph.path.infected.model.architecture,
            "file": None if original is None else asdict(file_facts(original)),
        },
        "backdoor": {"trigger": record.trigger, "target": record.target},
        "method": {"name": unlearn.method, "parameters": unlearn.parameters},
        "statistics": {"chosen_on": record.statistics, "images": record.statistics_images},
        "scores": {role: found.model_dump(mode="json") for role, found in scored.items() if found is not None},
    }
