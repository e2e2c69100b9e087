"""The page of a scan: verdict first, then the recovered trigger beside stamped images, scores, error rates."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tbar_ray.errors import DataError
from tbar_ray.onemodel.detectors import detector_results
from tbar_ray.onemodel.figures import detectors_figure
from tbar_ray.onemodel.page import picture_url, render, write_page
from tbar_ray.onemodel.pictures import trigger_picture
from tbar_ray.onemodel.scan_record import write_record
from tbar_ray.onemodel.scan_result import Scan
from tbar_ray.onemodel.scan_verdict import scan_verdict, target_line
from tbar_ray.redaction import redact
from tbar_ray.report.page import data_url

TEMPLATE, PAGE = "scan.html", "scan.html"


@dataclass(frozen=True)
class SavedScan:
    """Files of a scan: for people and for machines."""

    page: Path
    record: Path


@dataclass(frozen=True)
class ShownTrigger:
    """A trigger that a search found, to be looked at."""

    search: str
    url: str
    told: str
    leads_to: str
    telling: bool


def save_scan(scan: Scan, folder: str | Path, command: Sequence[str] = ()) -> SavedScan:
    """Write `scan.html` and `scan.json` into a folder, which is made where it is missing.

    Raises:
        DataError: if they cannot be written.
    """
    place = Path(folder)
    try:
        place.mkdir(exist_ok=True)
    except OSError as error:
        raise DataError(f"cannot make the folder {place}: {error.strerror or error}") from None
    record = write_record(scan, place, command)
    return SavedScan(write_page(place / PAGE, scan_html(scan, command)), record)


def scan_html(scan: Scan, command: Sequence[str] = ()) -> str:
    """The page as HTML; everything that a user named is escaped."""
    results = detector_results(scan.calibration, scan.scores)
    return render(
        TEMPLATE,
        scan=scan,
        verdict=scan_verdict(scan),
        target=target_line(scan),
        triggers=_triggers(scan),
        pictures=[(picture_url(each.pixels), each) for each in scan.pictures],
        detectors=data_url(detectors_figure(results)) if results else None,
        results=results,
        command=redact(shlex.join(command)),
    )


def _triggers(scan: Scan) -> list[ShownTrigger]:
    found = []
    for name, each in scan.found.items():
        if (trigger := each.inversion.trigger) is None:
            continue
        pixels, told = trigger_picture(trigger)
        leads = scan.class_of(each.target)
        found.append(
            ShownTrigger(
                name, picture_url(pixels), told, f"leads to “{leads}”" if leads else "no target", name == scan.telling
            )
        )
    return found
