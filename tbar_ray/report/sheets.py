"""The sheets of a page: images with the answers of a trial's models; a picture that several share is kept once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tbar_ray.naming import counted
from tbar_ray.records.cells import preference
from tbar_ray.records.names import run_name
from tbar_ray.records.record import TrialRecord
from tbar_ray.records.sheets import Answer, KeptSheets, SheetImage, SheetRecord
from tbar_ray.report.result_cells import key_of
from tbar_ray.report.text import share

ROLES = ("clean", "infected", "cleaned")
BYTES_OF_MARKUP = 420
"""Of an image's answers in a page, about."""


@dataclass(frozen=True)
class Line:
    """A model's answers to an image: the best one, how it is right or wrong, and the next ones in words."""

    role: str
    best: str
    kind: str
    others: str


@dataclass(frozen=True)
class Shown:
    """An image: which picture it is, its class, and a line for each model."""

    picture: str
    truth: str
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class Sheet:
    """A trial's sheet."""

    key: str
    title: str
    changed: str
    failed: str
    shown: tuple[Shown, ...]
    failures: tuple[Shown, ...]


@dataclass
class Sheets:
    """The sheets of a page.

    Attributes:
        pictures: WebP in base64 by the name that sheets call them by.
        sheets: those that there is room for, in the order of the trials.
        left_out: of how many trials that have a sheet, or may have one, there is no room for it.
    """

    pictures: dict[str, str] = field(default_factory=dict)
    sheets: list[Sheet] = field(default_factory=list)
    left_out: int = 0


def sheets_of(records: Sequence[TrialRecord], kept: KeptSheets, room: int) -> Sheets:
    """The sheets of the trials that have one, the best on validation first, until there is no room for the next.

    A sheet that is behind that is not asked for: whoever makes sheets makes none that the page cannot show.

    Args:
        records: the trials, in the order to be shown.
        kept: their sheets.
        room: bytes of the page that are left.
    """
    found, names, chosen = Sheets(), dict[str, str](), dict[str, SheetRecord]()
    wanted = sorted((r for r in records if r in kept), key=preference)
    for place, record in enumerate(wanted):
        sheet = kept.sheet(record)
        if sheet is None:
            continue
        images = [*sheet.shown, *sheet.failures]
        fresh = {image.webp for image in images} - names.keys()
        room -= sum(len(picture) + 120 for picture in fresh) + BYTES_OF_MARKUP * len(images)
        if room < 0:
            found.left_out = len(wanted) - place
            break
        chosen[record.fingerprint] = sheet
        for image in images:
            names.setdefault(image.webp, f"p{len(names)}")
    found.pictures = {name: picture for picture, name in names.items()}
    found.sheets = [_sheet(r, chosen[r.fingerprint], names) for r in records if r.fingerprint in chosen]
    return found


def _sheet(record: TrialRecord, sheet: SheetRecord, names: Mapping[str, str]) -> Sheet:
    some = sheet.searched is not None and sheet.searched < sheet.failed
    return Sheet(
        key_of(record),
        run_name(record),
        f"{sheet.changed:,} of {counted(sheet.images, 'triggered test image')} of other classes are not answered alike "
        f"by all models; {len(sheet.shown)} of them",
        f"{sheet.failed:,} are not answered with their class by the cleaned model; those of which it is most confident"
        + (f", of {sheet.searched:,} evenly spaced ones" if some else ""),
        tuple(_shown(image, sheet.target, names) for image in sheet.shown),
        tuple(_shown(image, sheet.target, names) for image in sheet.failures),
    )


def _shown(image: SheetImage, target: str, names: Mapping[str, str]) -> Shown:
    lines = [_line(role, image.answers[role], image.truth, target) for role in ROLES if role in image.answers]
    return Shown(names[image.webp], image.truth, tuple(lines))


def _line(role: str, answers: Sequence[Answer], truth: str, target: str) -> Line:
    best, *others = answers
    kind = "truth" if best.name == truth else "target" if best.name == target else "other"
    return Line(role, _told(best), kind, ", ".join(map(_told, others)))


def _told(answer: Answer) -> str:
    return answer.name if answer.probability is None else f"{answer.name} {share(answer.probability)}"
