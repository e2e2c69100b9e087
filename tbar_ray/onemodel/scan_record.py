"""`scan.json`: a scan as a machine reads it, and what `tbar unlearn --from-scan` takes from it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tbar_ray.api.backdoor import Backdoor
from tbar_ray.data.places import is_folder, resolve
from tbar_ray.detection.verdict import Outcome
from tbar_ray.errors import DataError, NoBackdoorError, SpecError
from tbar_ray.inversion.base import Inverter
from tbar_ray.onemodel.manifest import basis
from tbar_ray.onemodel.scan_result import Scan
from tbar_ray.onemodel.scan_verdict import percent, scan_verdict
from tbar_ray.onemodel.suspect import Suspect
from tbar_ray.redaction import redact_all
from tbar_ray.triggers.proxy import Proxy

FILE = "scan.json"


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class ScannedModel(_Part):
    """The checkpoint that was scanned; `sha256` of its file, None for a model without one."""

    checkpoint: str
    architecture: str
    sha256: str | None = None


class ScanVerdictRecord(_Part):
    """The verdict of a scan."""

    outcome: Outcome
    probability: float | None


class FoundTarget(_Part):
    """The class that a trigger leads to; None where it leads nowhere."""

    name: str | None


class SearchRecord(_Part):
    """What one search found; a score and a trigger only where it converged."""

    score: float | None
    trigger: dict[str, Any] | None
    target: FoundTarget | None


class ScanRecord(_Part):
    """What a later step needs of a scan.

    Attributes:
        model: the checkpoint.
        verdict: what was said of it.
        telling: the search whose trigger is to be worked with.
        searches: by name.
        calibration: file of the calibration; None for the package's.
        images: that the searches were given.
        seed: of all draws.
    """

    schema_version: int = Field(ge=1, le=1)
    model: ScannedModel
    verdict: ScanVerdictRecord
    telling: str | None
    searches: dict[str, SearchRecord]
    calibration: str | None
    images: int
    seed: int

    @property
    def scores(self) -> dict[str, float | None]:
        """By search."""
        return {name: each.score for name, each in self.searches.items()}

    def suspect(self, target: str | None = None, *, force: bool = False, source: str = FILE) -> Suspect:
        """The trigger that was found, as the suspected one.

        Args:
            target: the class that it leads to; None: the one that the scan named.
            force: take it from a model without evidence of a backdoor, too.
            source: the file, for messages.

        Raises:
            NoBackdoorError: if there was no evidence of a backdoor, and `force` is not set.
            SpecError: if no trigger or no target was found.
        """
        if self.verdict.outcome == "no evidence" and not force:
            certain = "" if self.verdict.probability is None else f" (probability {percent(self.verdict.probability)})"
            raise NoBackdoorError(
                f"{self.model.checkpoint}: the scan found no evidence of a backdoor{certain}; nothing was changed: "
                "clean it all the same with --force"
            )
        found = None if self.telling is None else self.searches[self.telling]
        if found is None or found.trigger is None:
            raise SpecError(f"{source}: no search found a trigger; name one with --trigger")
        named = target or (None if found.target is None else found.target.name)
        if named is None:
            raise SpecError(f"{source}: no target was found; name the class that the trigger leads to with --target")
        try:
            trigger = Proxy.model_validate(found.trigger)
        except ValidationError as error:
            raise DataError(f"{source}: the trigger of {self.telling} is damaged: {error.errors()[0]['msg']}") from None
        return Suspect(Backdoor(trigger, named), f"the trigger that {self.telling} found", True, self.model.sha256)


def read_scan(place: str | Path) -> ScanRecord:
    """Read the folder or the `scan.json` of a scan.

    Raises:
        DataError: if it is missing, or none of this version.
    """
    path = Path(resolve(place))
    path = path / FILE if is_folder(path) else path
    try:
        return ScanRecord.model_validate_json(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        told = (error.strerror or str(error)) if isinstance(error, OSError) else "is no text"
        raise DataError(f"scan {path}: {told}; make one with `tbar scan`") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise DataError(
            f"scan {path}: {where + ': ' if where else ''}{first['msg']}; scan anew with `tbar scan`"
        ) from None


def record_of(scan: Scan, command: Sequence[str] = ()) -> dict[str, Any]:
    """A scan for JSON; secrets are left out."""
    judged, facts = scan.judgement, scan.opened.facts
    combination = judged.combination
    told: dict[str, Any] = redact_all(
        {
            **basis((), command),
            "model": {
                "checkpoint": scan.opened.source,
                "architecture": scan.opened.model.architecture,
                "sha256": None if facts is None else facts.sha256,
                "evidence": [asdict(line) for line in scan.opened.evidence],
            },
            "verdict": {
                "outcome": judged.outcome,
                "probability": judged.probability,
                "headline": scan_verdict(scan).headline,
                "alarm": None if combination is None else combination.alarm,
                "clear": None if combination is None else combination.clear,
                "measured": None if combination is None else combination.measured.model_dump(),
                "unconverged": list(judged.unconverged),
                "unweighed": list(judged.unweighed),
                "beyond": list(judged.beyond),
            },
            "target": scan.target,
            "telling": scan.telling,
            "images": scan.images,
            "judged": {"images": scan.judged, "others": scan.apart},
            "lost": list(scan.lost),
            "classes": None if scan.classes is None else list(scan.classes.names),
            "templates": None if scan.classes is None else list(scan.classes.templates),
            "calibration": None if scan.calibration_place is None else str(scan.calibration_place),
            "calibrated": scan.calibration.provenance.model_dump(mode="json"),
            "seed": scan.seed,
        }
    )
    # triggers are long texts in base64, in which nothing is to be left out
    return {**told, "searches": {search.name: _search(scan, search) for search in scan.searches}}


def write_record(scan: Scan, folder: Path, command: Sequence[str] = ()) -> Path:
    """Write `scan.json` into a folder.

    Raises:
        DataError: if it cannot be written.
    """
    path = folder / FILE
    try:
        path.write_text(json.dumps(record_of(scan, command), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    except OSError as error:
        raise DataError(f"cannot write {path}: {error.strerror or error}") from None
    return path


def _search(scan: Scan, search: Inverter) -> dict[str, Any]:
    found = scan.found[search.name]
    inversion, target = found.inversion, found.target
    return {
        "score": inversion.score,
        "target": None
        if target is None
        else {
            "name": scan.class_of(target),
            "shift": target.shift,
            "runner_up": target.runner_up,
            "rate": target.rate.to_dict(),
        },
        "trigger": None if inversion.trigger is None else inversion.trigger.model_dump(mode="json"),
        "by_class": list(inversion.by_class),
        "facts": dict(inversion.facts),
        "parameters": search.model_dump(mode="json"),
        "steps": inversion.steps,
        "images": inversion.images,
        "seconds": found.seconds,
    }
