"""The sheet of a trial: triggered test images with the best answers of its models, kept beside the trial's record."""

from __future__ import annotations

from pydantic import ValidationError

from tbar_ray.errors import StoreError
from tbar_ray.records.part import Part
from tbar_ray.store.store import Store


class Answer(Part):
    """A class and its probability."""

    name: str
    probability: float


class SheetImage(Part):
    """A triggered test image.

    Attributes:
        webp: the image in base64, without loss.
        truth: its class.
        answers: the three best of each model, best first, by role: clean (where there is one), infected, cleaned.
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
            confident, among the `searched` ones.
    """

    target: str
    images: int
    changed: int
    shown: tuple[SheetImage, ...]
    failed: int
    searched: int
    failures: tuple[SheetImage, ...]


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
    return f"{folder}/sheets/{fingerprint}.json"
