"""`scan.json`, and the suspected trigger that it gives."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import tbar_ray as tbar
from tbar_ray.errors import DataError, NoBackdoorError, SpecError
from tbar_ray.onemodel.scan_record import ScanRecord, read_scan, record_of, write_record
from tbar_ray.onemodel.scan_result import Scan
from tbar_ray.triggers.proxy import Proxy

SCORES = {"universal-noise": 8.5, "decree": None}


def record(outcome: str = "infected", target: str | None = "blue", trigger: bool = True) -> dict[str, Any]:
    """Return the content of a file: universal noise found something, DECREE did not converge."""
    import torch

    noise = Proxy.of(added=torch.full((3, 8, 8), 0.25))
    fields = noise.model_dump(mode="json") if trigger else None
    return {
        "schema_version": 1,
        "model": {"checkpoint": "suspect.pt", "architecture": "tbar-GN-pico", "sha256": "ab" * 32},
        "verdict": {"outcome": outcome, "probability": 0.02 if outcome == "no evidence" else 0.97},
        "telling": "universal-noise" if trigger else None,
        "searches": {
            "universal-noise": {"score": 8.5, "trigger": fields, "target": {"name": target} if trigger else None},
            "decree": {"score": None, "trigger": None, "target": None},
        },
        "calibration": None,
        "images": 32,
        "seed": 0,
    }


def written(folder: Path, content: object) -> Path:
    (folder / "scan.json").write_text(content if isinstance(content, str) else json.dumps(content))
    return folder


def test_what_was_found_is_read_from_the_file_or_its_folder(scanned: Scan, tmp_path: Path) -> None:
    path = write_record(scanned, tmp_path, ["tbar", "scan", "https://user:secret@host/x.pt"])
    assert "secret" not in path.read_text()
    found = read_scan(tmp_path)
    assert found == read_scan(path)
    assert found.scores == scanned.scores
    assert (found.verdict.outcome, found.telling) == (scanned.outcome, scanned.telling)
    assert scanned.opened.facts is not None
    assert found.model.sha256 == scanned.opened.facts.sha256
    suspected = found.suspect("red")
    assert suspected.backdoor == tbar.Backdoor(scanned.trigger, "red")
    assert (suspected.searched, suspected.sha256) == (True, found.model.sha256)
    assert "that universal-noise found" in suspected.origin


def test_the_file_holds_scores_targets_error_rates_and_provenance(scanned: Scan) -> None:
    told = record_of(scanned)
    noise = told["searches"]["universal-noise"]
    assert noise["score"] == scanned.scores["universal-noise"]
    assert {"n", "low", "high"} <= noise["target"]["rate"].keys()
    assert noise["parameters"]["steps"] == 2
    assert told["verdict"]["measured"]["false_alarms"] == {"hits": 0, "models": 20}
    assert told["calibrated"]["source"] == "a made-up zoo"
    assert json.loads(json.dumps(told)) == told


def test_the_target_is_the_scans_or_the_users() -> None:
    found = ScanRecord.model_validate(record())
    assert found.suspect().backdoor.target == "blue"
    assert found.suspect("red").backdoor.target == "red"


def test_a_model_without_evidence_is_refused_unless_forced() -> None:
    found = ScanRecord.model_validate(record("no evidence"))
    with pytest.raises(NoBackdoorError, match=r"suspect.pt: .* no evidence .* \(probability 2.0 %\); .*--force"):
        found.suspect()
    assert found.suspect(force=True).backdoor.target == "blue"
    assert ScanRecord.model_validate(record("inconclusive")).suspect().backdoor.target == "blue"


def test_without_a_trigger_or_a_target_there_is_nothing_to_stamp() -> None:
    with pytest.raises(SpecError, match=r"no target was found; name the class .* with --target"):
        ScanRecord.model_validate(record(target=None)).suspect()
    with pytest.raises(SpecError, match="no search found a trigger"):
        ScanRecord.model_validate(record(trigger=False)).suspect("blue")


def test_a_damaged_trigger_is_one_line() -> None:
    content = record()
    content["searches"]["universal-noise"]["trigger"]["added"] = "AAAA"
    with pytest.raises(DataError, match=r"scan\.json: the trigger of universal-noise is damaged: .*holds 3 bytes"):
        ScanRecord.model_validate(content).suspect()


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ({}, "schema_version: Field required; scan anew with `tbar scan`"),
        ({**record(), "schema_version": 2}, "schema_version: Input should be less than or equal to 1"),
        ("{", "Invalid JSON"),
        (None, r"No such file or directory; make one with `tbar scan`"),
    ],
)
def test_what_is_no_scan_is_refused(content: object, problem: str, tmp_path: Path) -> None:
    if content is not None:
        written(tmp_path, content)
    with pytest.raises(DataError, match=problem):
        read_scan(tmp_path)
