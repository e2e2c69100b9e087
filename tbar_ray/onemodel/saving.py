"""What cleaning leaves: checkpoint, manifest, report."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tbar_ray.data.places import resolve
from tbar_ray.onemodel.manifest import manifest_of, write_manifest
from tbar_ray.onemodel.panels import Panels
from tbar_ray.onemodel.remove import Cleaned
from tbar_ray.onemodel.report import write_report
from tbar_ray.onemodel.writing import FILES, check_out, write_cleaned


@dataclass(frozen=True)
class Saved:
    """Files of a cleaned model (the weights, of a folder its other files, what is beside them), manifest, report."""

    files: tuple[Path, ...]
    manifest: Path
    report: Path


def report_path(out: Path) -> Path:
    """The report of a cleaned checkpoint where the user names none: the same name, in .html."""
    return out.with_suffix(".html") if out.suffix in FILES else out.with_name(f"{out.name}.html")


def save_cleaned(
    cleaned: Cleaned,
    out: str | Path,
    *,
    report: str | Path | None = None,
    panels: Panels | None = None,
    command: Sequence[str] = (),
) -> Saved:
    """Write a cleaned model in the format that it came in, `OUT.manifest.json` and a report.

    Args:
        cleaned: from `clean_checkpoint`.
        out: `.safetensors`, `.pt`, `.pth` or `.bin`; of the type that came in, names are as they were there. Any
            other name is a folder, for a checkpoint that came as one.
        report: the page; None: `out` with .html.
        panels: what detectors, a second scan or a rebound test found, for the report.
        command: the words that were typed, for manifest and report.

    Raises:
        SpecError: if `out` cannot be written (`check_out`).
        CheckpointError: if the file cannot be written.
        DataError: if the report cannot be written.
    """
    original = cleaned.examined.opened.file
    path = check_out(out, original)
    files = write_cleaned(cleaned.model, original, path)
    content = manifest_of(cleaned, files, command)
    manifest = write_manifest(content, path)
    page = report_path(path) if report is None else Path(resolve(report))
    write_report(page, cleaned.examined, cleaned, panels=panels, manifest=content, command=command)
    return Saved(tuple(files), manifest, page)


def report_again(saved: Saved, cleaned: Cleaned, panels: Panels, command: Sequence[str] = ()) -> None:
    """Write the report of a saved model anew, with what was measured since.

    Raises:
        DataError: if the report cannot be written.
    """
    manifest = json.loads(saved.manifest.read_text(encoding="utf-8"))
    write_report(saved.report, cleaned.examined, cleaned, panels=panels, manifest=manifest, command=command)
