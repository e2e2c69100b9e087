"""The panels that scans fill; the second scan itself is tested with `tbar unlearn`."""

from __future__ import annotations

from pathlib import Path

from tbar_ray.detection.calibration import save_calibration
from tbar_ray.onemodel.panels import Panels, ReboundCurve
from tbar_ray.onemodel.rescan import panels_of
from tbar_ray.onemodel.scan_record import ScanRecord
from tbar_ray.onemodel.scan_result import Scan
from tests.detection.zoo import leaning
from tests.onemodel.test_scan_record import record


def test_panels_hold_both_scans_and_the_rebound(scanned: Scan, tmp_path: Path) -> None:
    save_calibration(leaning("no evidence"), tmp_path / "it.json")
    before = ScanRecord.model_validate({**record(), "calibration": str(tmp_path / "it.json")})
    curve = ReboundCurve("cleaned", (0,), (), ())
    found = panels_of(before, scanned, curve)
    assert [(each.name, each.score) for each in found.detectors] == [("universal-noise", 8.5), ("decree", None)]
    assert [each.alarmed for each in found.detectors] == [False, False]
    assert [each.score for each in found.rescan] == list(scanned.scores.values())
    assert all(each.alarmed for each in found.rescan)  # by the calibration of the second scan
    assert found.rebound == (curve,)
    assert found.again is not None
    assert found.again.alarmed
    assert found.again.headline.startswith("This model is infected")


def test_a_given_trigger_leaves_them_empty() -> None:
    assert panels_of(None) == Panels()
