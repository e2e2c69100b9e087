"""The cleaned models of a campaign's best trials, for MLflow."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from tbar_ray.campaign.export import export_trial
from tbar_ray.errors import TbarError
from tbar_ray.models.architectures import weights_size
from tbar_ray.records.cells import best_of_attacks
from tbar_ray.records.names import run_name
from tbar_ray.records.record import TrialRecord
from tbar_ray.spec.campaign import CampaignSpec
from tbar_ray.store.store import Store
from tbar_ray.tracking.recording import Recording

SMALL = 200_000_000
"""Bytes of weights up to which models are logged where nobody said."""
FILE = "cleaned.safetensors"


def log_best_models(
    spec: CampaignSpec,
    store: Store,
    records: Sequence[TrialRecord],
    recording: Recording,
    folder: Path,
    say: Callable[[str], None],
    *,
    wanted: bool | None,
) -> None:
    """Log the best trial's cleaned model of each attack.

    Args:
        spec: the campaign.
        store: with its artifacts.
        records: its trials.
        recording: where to.
        folder: a temporary one, which lasts as long as the recording.
        say: takes a line for each model that cannot be written.
        wanted: whether to; None: where the weights are small.
    """
    if wanted is False:
        return
    best = [record for record in best_of_attacks(records) if wanted or _size(spec, record) <= SMALL]
    for record in recording.without_model(best):
        place = folder / record.fingerprint
        place.mkdir()
        try:
            export_trial(spec, store, place / FILE, record.fingerprint)
        except TbarError as error:  # what a model is made of may have been removed from the store
            say(f"the model of {run_name(record)} is not logged: {error}")
            continue
        recording.log_model(record, place)


def _size(spec: CampaignSpec, record: TrialRecord) -> int:
    """Bytes of the weights of a trial's model."""
    return weights_size(str(record.settings.get("model.architecture") or spec.model.architecture))
