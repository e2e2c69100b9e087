"""The sheet of a trial: triggered test images with the best answers of its models, kept beside the trial's record."""

from __future__ import annotations

from pydantic import ValidationError

from tbar_ray.errors import StoreError
from tbar_ray.records.part import Part
from tbar_ray.records.record import TrialRecord
from tbar_ray.store.store import Store

SHEETS = "sheets"
"""Folder of a campaign's folder: a file for each trial that has a sheet."""


class Answer(Part):
    """A class and its probability; None where an earlier version kept the class alone."""

    name: str
    probability: float | None = None


class SheetImage(Part):
    """A triggered test image.

    Attributes:
        webp: the image in base64, without loss.
        truth: its class.
        answers: the three best of each model, best first, by role: clean (where there is one), infected, cleaned. The
            best alone of a model whose answers an earlier version kept.
    """

    webp: str
    truth: str
    answers: dict[str, tuple[Answer, ...]]


class SheetRecord(Part):
    """What to look at of a trial. All images are triggered test images of other classes than the target.

    Attributes:
        target: the class that triggered images are to be answered with.
        images: how many such images there are.
        changed: how many of them the models do not all answer alike; `shown` are some.
        failed: how many the cleaned model does not answer with their class; `failures` are those of which it is most
            confident.
        searched: in a sheet of an earlier version, the number of failures among which these were sought; None: all.
    """

    target: str
    images: int
    changed: int
    shown: tuple[SheetImage, ...]
    failed: int
    failures: tuple[SheetImage, ...]
    searched: int | None = None


class KeptSheets:
    """The sheets of a campaign that the store keeps.

    Args:
        store: of the campaign.
        folder: of the campaign in the store.
    """

    def __init__(self, store: Store, folder: str) -> None:
        self._store, self._folder = store, folder
        self._files = frozenset(store.list_json(f"{folder}/{SHEETS}"))

    def __contains__(self, record: TrialRecord) -> bool:
        """Whether a trial has a sheet, or may have one."""
        return f"{record.fingerprint}.json" in self._files

    def sheet(self, record: TrialRecord) -> SheetRecord | None:
        """The sheet of a trial; None if it turns out that it has none.

        Raises:
            StoreError: if it is broken.
        """
        return read_sheet(self._store, self._folder, record.fingerprint)


def write_sheet(store: Store, folder: str, fingerprint: str, sheet: SheetRecord) -> None:
    """Keep the sheet of a trial.

    Args:
        store: of the campaign.
        folder: of the campaign in the store.
        fingerprint: of the trial.
        sheet: its sheet.
    """
    store.write_json(_place(folder, fingerprint), sheet.model_dump(mode="json"))


def read_sheet(store: Store, folder: str, fingerprint: str) -> SheetRecord | None:
    """The sheet of a trial; None if none was made.

    Raises:
        StoreError: if it is broken.
    """
    place = _place(folder, fingerprint)
    if not store.exists(place):
        return None
    try:
        return SheetRecord.model_validate(store.read_json(place))
    except ValidationError:
        raise StoreError(f"store {store.url}: {place} is broken; remove it, and make the sheet again") from None


def _place(folder: str, fingerprint: str) -> str:
    return f"{folder}/{SHEETS}/{fingerprint}.json"
