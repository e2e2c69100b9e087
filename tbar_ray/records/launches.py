"""The launches of a campaign, kept beside its records: who computed it, when, and with which command."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from datetime import UTC, datetime

from tbar_ray import origin
from tbar_ray.records.kept_files import kept_files
from tbar_ray.records.part import Part
from tbar_ray.store.store import Store


class LaunchRecord(Part):
    """One launch.

    Attributes:
        started: UTC, ISO 8601, to the second.
        code: version and commit.
        python: its version.
        machine: of the process that drove it; stages may have run on others.
        command: as it was typed, without secrets.
    """

    started: str
    code: str
    python: str
    machine: str
    command: str


def note_launch(store: Store, folder: str, words: Sequence[str] | None = None) -> LaunchRecord:
    """Write down that a campaign is launched here and now.

    Args:
        store: of the campaign.
        folder: of the campaign in the store.
        words: of the command; None for those of this process.
    """
    now = datetime.now(UTC)
    record = LaunchRecord(
        started=now.isoformat(timespec="seconds"),
        code=origin.code(),
        python=platform.python_version(),
        machine=origin.machine(),
        command=origin.command(words),
    )
    store.write_json(f"{folder}/launches/{now:%Y%m%dT%H%M%S%f}.json", record.model_dump(mode="json"))
    return record


def launches_of(store: Store, folder: str) -> list[LaunchRecord]:
    """The launches of a campaign, oldest first; none of versions that did not write them down.

    Raises:
        StoreError: if one is broken.
    """
    return kept_files(store, f"{folder}/launches", LaunchRecord.model_validate)
