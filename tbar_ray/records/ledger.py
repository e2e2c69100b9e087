"""A campaign's folder in the store: its spec, and one record per trial. The only reader and writer of records."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import ValidationError

from tbar_ray.errors import StoreError
from tbar_ray.planning.axes import Setting, order_of
from tbar_ray.planning.planner import campaign_fingerprint
from tbar_ray.records.launches import note_launch
from tbar_ray.records.record import SCHEMA_VERSION, TrialRecord
from tbar_ray.redaction import redact_all
from tbar_ray.spec.campaign import CampaignSpec
from tbar_ray.store.campaigns import CAMPAIGNS
from tbar_ray.store.store import Store


class Ledger:
    """The records of one campaign."""

    def __init__(self, store: Store, spec: CampaignSpec) -> None:
        self.store = store
        self.folder = f"{CAMPAIGNS}/{spec.name}/{campaign_fingerprint(spec)}"
        self._spec = spec

    def open(self) -> None:
        """Write the spec into the campaign's folder, and that it is launched."""
        self.store.write_json(f"{self.folder}/spec.json", redact_all(self._spec.model_dump(mode="json")))
        note_launch(self.store, self.folder)

    def find(self, fingerprint: str) -> TrialRecord | None:
        """A trial's record; None if it has none.

        Raises:
            StoreError: if it is of another version, or broken.
        """
        path = f"{self.folder}/trials/{fingerprint}.json"
        return read_trial(self.store, path) if self.store.exists(path) else None

    def write(self, record: TrialRecord) -> None:
        """Write a trial's record, replacing an earlier one of the same trial."""
        self.store.write_json(f"{self.folder}/trials/{record.fingerprint}.json", record.model_dump(mode="json"))

    def read(self) -> list[TrialRecord]:
        """All records of the campaign, in the order of tables.

        Raises:
            StoreError: if one is of another version, or broken.
        """
        names = self.store.list_json(f"{self.folder}/trials")
        return in_order(read_trial(self.store, f"{self.folder}/trials/{name}") for name in names)


def read_trial(store: Store, path: str) -> TrialRecord:
    """The record of a file in the store.

    Raises:
        StoreError: if it is of another version, or broken.
    """
    content = store.read_json(path)
    version = content.get("schema_version", 1) if isinstance(content, dict) else None
    if version != SCHEMA_VERSION:
        raise StoreError(
            f"store {store.url}: {path} is a record of schema version {version}, this is version "
            f"{SCHEMA_VERSION}; run the campaign again: what is in the store is not computed twice"
        )
    try:
        return TrialRecord.model_validate(content)
    except ValidationError as error:
        field = ".".join(str(part) for part in error.errors()[0]["loc"])
        raise StoreError(
            f"store {store.url}: {path} is broken at {field!r}; run the campaign again to replace it"
        ) from None


def in_order(records: Iterable[TrialRecord]) -> list[TrialRecord]:
    """Records in the order of every table and file: by their settings, the usual axes first."""
    records = list(records)
    names = order_of(name for record in records for name in record.settings)
    return sorted(records, key=lambda record: ([_sortable(record.settings.get(name)) for name in names], record.alphas))


def _sortable(value: Setting) -> tuple[int, float, str]:
    """Order None first, then numbers by size, then names."""
    if value is None:
        return 0, 0.0, ""
    return (2, 0.0, value) if isinstance(value, str) else (1, float(value), "")
