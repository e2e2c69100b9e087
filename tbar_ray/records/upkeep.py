"""Looking after a store: how large it is, whether it is sound, and what it can do without."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from pydantic import ValidationError

from tbar_ray.errors import StoreError
from tbar_ray.records.cells import grouped, preference
from tbar_ray.records.record import TrialRecord
from tbar_ray.store.campaigns import CAMPAIGNS, campaigns_of
from tbar_ray.store.commit import COMMIT, CommittedFile, committed_files
from tbar_ray.store.lease import running_campaigns
from tbar_ray.store.store import Store
from tbar_ray.unlearning.edit import BESIDE, VECTOR

OF_EDIT = (VECTOR, BESIDE)
"""The files of a vector that its α path alone needs; the rest of it is read by reports."""


@dataclass(frozen=True)
class Holding:
    """Some artifacts: how many, and their bytes on the disk."""

    artifacts: int
    size: int


@dataclass(frozen=True)
class Waste:
    """Something that a store can do without: a path in it, its bytes, and why."""

    path: str
    size: int
    why: str


class Upkeep:
    """What a store holds, by the records of its campaigns."""

    def __init__(self, store: Store) -> None:
        self._store = store

    @cached_property
    def sizes(self) -> dict[str, int]:
        """Bytes of every committed artifact, without what was dropped."""
        return {
            name: sum(file.size for file in self._entries(name).values() if not file.dropped) for name in self.artifacts
        }

    @cached_property
    def artifacts(self) -> list[str]:
        """Names of the artifacts that are committed and have the right sizes."""
        return self._store.artifacts()

    def by_kind(self) -> dict[str, Holding]:
        """What the artifacts of each kind take, the largest first."""
        kinds: dict[str, list[str]] = defaultdict(list)
        for name in self.artifacts:
            kinds[name.rsplit("-", 1)[0]].append(name)
        found = {kind: Holding(len(names), sum(self.sizes[name] for name in names)) for kind, names in kinds.items()}
        return dict(sorted(found.items(), key=lambda entry: -entry[1].size))

    def by_campaign(self) -> dict[str, Holding]:
        """What each campaign's trials need; artifacts that several need count for each of them."""
        found = {}
        for campaign, records in self.records.items():
            names: set[str] = set()
            for record in records:
                names |= self._under(record.path_artifact)
            found[campaign] = Holding(len(names), sum(self.sizes[name] for name in names))
        return found

    @cached_property
    def records(self) -> dict[str, list[TrialRecord]]:
        """The records of each campaign, NAME/FINGERPRINT; those of other versions are left out."""
        campaigns = campaigns_of(self._store)
        return {campaign: list(self._records(f"{CAMPAIGNS}/{campaign}/trials")) for campaign in campaigns}

    def broken(self) -> Iterator[tuple[str, str | None]]:
        """Hash every file of every artifact; yield each with what is wrong with it, None if nothing is."""
        for name in self._store.list_folder("artifacts"):
            yield name, self._store.verify(name)

    def waste(self) -> list[Waste]:
        """What reports do without, and what nothing is computed from again unless it is asked for by name.

        Vectors of trials that were not selected (of each campaign, attack and method the best one by validation is),
        checkpoints of trainings that have ended, artifacts that are broken or were never committed.
        """
        found = []
        known = set(self.artifacts)
        for name in self._store.list_folder("artifacts"):
            if name not in known:
                why = self._store.problem(name)
                found.append(Waste(f"artifacts/{name}", self._store.size(f"artifacts/{name}"), f"broken: {why}"))
        for file in self._store.list_folder("checkpoints"):
            if file.removesuffix(".pt") in known:
                path = f"checkpoints/{file}"
                found.append(Waste(path, self._store.size(path), "its training has ended"))
        for name in sorted(self._unselected()):
            files = self._entries(name)
            found += [
                Waste(f"artifacts/{name}/{file}", files[file].size, "its trial was not selected")
                for file in OF_EDIT
                if file in files and not files[file].dropped
            ]
        return found

    def remove(self, wastes: list[Waste]) -> None:
        """Remove what a store can do without.

        Raises:
            StoreError: if a campaign runs on the store: what it needs next cannot be known.
        """
        if running := running_campaigns(self._store):
            raise StoreError(
                f"store {self._store.url}: {', '.join(running)} is running; nothing is removed until it has ended"
            )
        for waste in wastes:
            folder, *rest = waste.path.split("/")
            if folder == "checkpoints":
                self._store.remove(waste.path)
            elif len(rest) == 1:
                self._store.discard(rest[0])
            else:
                self._store.drop(*rest)
        self._store.remove_abandoned_scratch()

    def _unselected(self) -> set[str]:
        """Vectors whose trials have ended, and none of which was selected in any campaign."""
        selected: set[str] = set()
        ended: set[str] = set()
        for records in self.records.values():
            done = [record for record in records if record.path_artifact in self.artifacts]
            best = [min(group, key=preference) for group in grouped(done, lambda r: (r.attack, r.method)).values()]
            ended |= {vector for record in done for vector in self._vectors(record)}
            selected |= {vector for record in best for vector in self._vectors(record)}
        return ended - selected

    def _vectors(self, record: TrialRecord) -> list[str]:
        identity = self._identity(record.path_artifact)
        name = f"vector-{identity.get('unlearn')}"
        return [name] if name in self.sizes else []

    def _under(self, artifact: str) -> set[str]:
        """An artifact and all that it was computed from."""
        found: set[str] = set()
        todo = [artifact]
        while todo:
            name = todo.pop()
            if name not in found and name in self.sizes:
                found.add(name)
                todo += [self._named[text] for text in _texts(self._identity(name)) if text in self._named]
        return found

    @cached_property
    def _named(self) -> Mapping[str, str]:
        """The artifacts by their fingerprints."""
        return {name.rsplit("-", 1)[1]: name for name in self.artifacts}

    @cached_property
    def _identities(self) -> dict[str, dict[str, Any]]:
        return defaultdict(dict)

    def _identity(self, name: str) -> dict[str, Any]:
        if name not in self._identities:
            with suppress(StoreError):
                self._identities[name] = self._store.facts(name).get("identity", {})
        return self._identities[name]

    def _entries(self, name: str) -> dict[str, CommittedFile]:
        return committed_files(self._store.read_bytes(f"artifacts/{name}/{COMMIT}"))

    def _records(self, folder: str) -> Iterator[TrialRecord]:
        for file in self._store.list_json(folder):
            with suppress(StoreError, ValidationError):
                yield TrialRecord.model_validate(self._store.read_json(f"{folder}/{file}"))


def _texts(value: Any) -> Iterator[str]:
    """Yield every text in a nested value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _texts(item)
