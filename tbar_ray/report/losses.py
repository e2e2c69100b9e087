"""What trainings lost of their data: a number that was computed from less than was given says so."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass

from tbar_ray.errors import StoreError
from tbar_ray.records.cells import counted
from tbar_ray.records.record import TrialRecord
from tbar_ray.report.text import Markdown, bullets, section
from tbar_ray.store.store import Store

SHOWN = 3
"""Problems that are named of each training; its artifact names more."""


@dataclass(frozen=True)
class Loss:
    """What one training lost: its title, how many samples or members, and the first problems."""

    title: str
    count: int
    problems: tuple[str, ...]

    def __str__(self) -> str:
        more = "; …" if self.count > len(self.problems) else ""
        return f"{self.title}: {counted(self.count, 'problem')} in the training data: {'; '.join(self.problems)}{more}"


def losses_of(records: Iterable[TrialRecord], store: Store) -> list[Loss]:
    """Return what the trainings that trials share have lost, each training once."""
    found = []
    for artifact in dict.fromkeys(artifact for record in records for artifact in record.trainings.values()):
        with suppress(StoreError, LookupError):
            if store.has(artifact):
                commit = store.facts(artifact)
                facts = commit["facts"]
                if facts.get("skipped"):
                    found.append(Loss(str(commit["title"]), facts["skipped"], tuple(facts["problems"][:SHOWN])))
    return found


def lost(records: Iterable[TrialRecord], store: Store) -> Markdown:
    """Return the section on losses; empty where nothing was lost."""
    why = Markdown(
        "Samples that could not be read were left out (`data.on_error: warn`). Once the shards are repaired, the next "
        "run computes what lost them again."
    )
    return section("What was lost", why, bullets(str(loss) for loss in losses_of(records, store)))
