"""A campaign that takes long enough for something to be lost under it, and what it has to end with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tbar_ray.execution.cluster import ray_session
from tbar_ray.records.record import TrialRecord
from tbar_ray.spec.campaign import CampaignSpec
from tbar_ray.store.store import Store
from tests.campaign.tiny import tiny_settings
from tests.specs import spec
from tests.stages.computing import compute_trial

SHORT = {"epochs": 1, "batch_size": 8, "optimisation": {"learning_rate": 1e-3, "warmup_steps": 1}}
LONG = {**SHORT, "epochs": 40}
"""480 steps: seconds in which something can be lost."""
SIZES = [8, 12]

Told = tuple[Any, ...]
"""What of a record must not depend on what was lost."""


def campaign(checkpoint_minutes: float = 0, **changes: Any) -> CampaignSpec:
    """Two trials, one at a time, whose clean model keeps a checkpoint every ten steps if it may."""
    settings = {
        "model": {"architecture": "tbar-RN-pico", "training": LONG},
        "resources": {"training_cpus": 1, "readers": 1, "checkpoint_minutes": checkpoint_minutes},
    }
    return spec(**tiny_settings(SIZES, SHORT, **{**settings, **changes}))


def told(record: TrialRecord) -> Told:
    """What of a record must not depend on what was lost."""
    return record.fingerprint, record.status, record.alpha, record.path, record.removed, record.infected, record.clean


def compute_undisturbed_records(folder: Path) -> list[TrialRecord]:
    """Records of the campaign's trials when nothing happens, computed in this process, stage by stage."""
    store = Store(str(folder))
    with ray_session("local", campaign()):  # readers are actors
        return [compute_trial(campaign(), {"attack": "badnets", "forget_size": size}, store) for size in SIZES]


def compute_undisturbed(folder: Path) -> list[Told]:
    """What of them must not depend on what was lost."""
    return [told(record) for record in compute_undisturbed_records(folder)]


@contextmanager
def meanwhile(happens: Callable[[], None]) -> Iterator[None]:
    """Let something happen in a thread; it has to have ended soon after what is done meanwhile."""
    with ThreadPoolExecutor(1) as pool:
        happening = pool.submit(happens)
        yield
        happening.result(timeout=5)
