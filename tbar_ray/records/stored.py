"""Campaigns as the store has them, by name and fingerprint, without their spec file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tbar_ray.errors import StoreError
from tbar_ray.naming import nearest
from tbar_ray.records.launches import LaunchRecord, launches_of
from tbar_ray.records.ledger import in_order, read_trial
from tbar_ray.records.record import TrialRecord
from tbar_ray.store.campaigns import CAMPAIGNS
from tbar_ray.store.store import Store

Identity = Mapping[str, Any]


@dataclass(frozen=True)
class StoredCampaign:
    """One campaign of a store.

    Attributes:
        store: that has it.
        folder: of the campaign in the store.
        spec: as it was launched, without secrets.
        records: its trials, in the order of tables.
        launches: oldest first; none of earlier versions.
    """

    store: Store
    folder: str
    spec: dict[str, Any]
    records: tuple[TrialRecord, ...]
    launches: tuple[LaunchRecord, ...]

    @property
    def name(self) -> str:
        """Name and fingerprint: NAME/FINGERPRINT."""
        return self.folder.removeprefix(f"{CAMPAIGNS}/")

    def identities(self) -> Iterator[Identity]:
        """What identifies each artifact under the trials, each once; those that are gone are left out."""
        for artifact in dict.fromkeys(use.artifact for record in self.records for use in record.stages):
            if (found := identity_of(self.store, artifact)) is not None:
                yield found

    def test_images(self, record: TrialRecord) -> Identity | None:
        """What determines the test images of a trial and their trigger; None where the store does not tell."""
        path = identity_of(self.store, record.path_artifact)
        scores = None if path is None else identity_of(self.store, f"scores-{path.get('infected')}")
        if scores is None:
            return None
        names = ("evaluation", "backdoor", "validation_fraction", "max_images", "split_seed")
        return {name: scores.get(name) for name in names}


def identity_of(store: Store, artifact: str) -> Identity | None:
    """What an artifact is identified by; None where the store has none that says so."""
    if not store.exists(f"artifacts/{artifact}/artifact.json"):
        return None
    found = store.facts(artifact).get("identity")
    return found if isinstance(found, dict) else None


def find_campaign(store: Store, named: str) -> StoredCampaign:
    """The campaign that a person means.

    Args:
        store: where to look.
        named: NAME, or NAME/FINGERPRINT, of which the beginning suffices.

    Raises:
        StoreError: if there is none, or several; the message lists them. Or if records are broken.
    """
    name, _, fingerprint = named.strip("/").partition("/")
    found = [f for f in store.list_folder(f"{CAMPAIGNS}/{name}") if f.startswith(fingerprint)]
    found = [f for f in found if store.exists(f"{CAMPAIGNS}/{name}/{f}/spec.json")]
    if not found:
        known = store.list_folder(CAMPAIGNS)
        told = nearest(name, known) if known else "; it has none"
        raise StoreError(f"store {store.url} has no campaign {named!r}{told}")
    if len(found) > 1:
        told = ", ".join(f"{name}/{f} ({len(_trials(store, f'{CAMPAIGNS}/{name}/{f}'))} trials)" for f in found)
        raise StoreError(f"store {store.url} has {len(found)} campaigns {named!r}; give one of: {told}")
    return stored_campaign(store, f"{CAMPAIGNS}/{name}/{found[0]}")


def stored_campaign(store: Store, folder: str) -> StoredCampaign:
    """The campaign of a folder in the store.

    Raises:
        StoreError: if it has no spec, or a record is broken.
    """
    records = in_order(read_trial(store, f"{folder}/trials/{name}") for name in _trials(store, folder))
    spec = store.read_json(f"{folder}/spec.json")
    return StoredCampaign(store, folder, spec, tuple(records), tuple(launches_of(store, folder)))


def _trials(store: Store, folder: str) -> list[str]:
    return store.list_json(f"{folder}/trials")
