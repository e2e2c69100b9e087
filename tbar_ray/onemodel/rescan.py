"""A second scan, of the cleaned model, and the panels of the report that scans fill."""

from __future__ import annotations

from tbar_ray.detection.calibration import load_calibration
from tbar_ray.onemodel.detectors import detector_results
from tbar_ray.onemodel.examine import Watch, unwatched
from tbar_ray.onemodel.panels import Panels, ReboundCurve, SecondScan
from tbar_ray.onemodel.remove import Cleaned
from tbar_ray.onemodel.scan_record import ScanRecord
from tbar_ray.onemodel.scan_result import Scan
from tbar_ray.onemodel.scan_verdict import scan_verdict
from tbar_ray.onemodel.scanning import scan


def rescan(cleaned: Cleaned, record: ScanRecord, *, watch: Watch = unwatched) -> Scan:
    """Scan a cleaned model as it was scanned before, on the images that it was cleaned with.

    Raises:
        DataError: if there are too few images, or the calibration cannot be read.
    """
    return scan(
        cleaned.model,
        cleaned.examined.defence.samples,
        cleaned.examined.defence.evaluation.classes,
        searches=list(record.searches),
        calibration=record.calibration,
        max_images=record.images,
        seed=record.seed,
        watch=watch,
    )


def panels_of(record: ScanRecord | None, again: Scan | None = None, rebound: ReboundCurve | None = None) -> Panels:
    """What a report shows beside its own measurements.

    Args:
        record: the scan that found the trigger; None where it was given.
        again: the scan of the cleaned model.
        rebound: what clean fine-tuning does to it.

    Raises:
        DataError: if the scan's calibration cannot be read.
    """
    return Panels(
        detectors=() if record is None else detector_results(load_calibration(record.calibration), record.scores),
        rescan=() if again is None else detector_results(again.calibration, again.scores),
        again=None if again is None else SecondScan(again.outcome, scan_verdict(again).headline),
        rebound=() if rebound is None else (rebound,),
    )
