"""The files of a report, each replaced as a whole."""

from __future__ import annotations

import csv
import io
import json
import uuid
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tbar_ray.campaign.figures import (
    ablation_figure,
    alpha_figure,
    attacks_figure,
    contact_sheet,
    disentanglement_figure,
    tradeoff_figure,
    transfer_figure,
)
from tbar_ray.campaign.figures.attacks import LEAST
from tbar_ray.campaign.figures.disentanglement import maps_of
from tbar_ray.campaign.figures.transfer import varies
from tbar_ray.campaign.report.markdown import summary
from tbar_ray.campaign.report.poisoned import examples_of
from tbar_ray.campaign.results import METRICS
from tbar_ray.campaign.spec import CampaignSpec
from tbar_ray.campaign.store import Store
from tbar_ray.errors import StoreError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Record = dict[str, Any]


def _with_interval(name: str) -> tuple[str, ...]:
    return name, f"{name}_low", f"{name}_high", f"{name}_n"


CELL_FIELDS = (
    "attack", "source", "trigger", "target", "task", "planting", "merge", "method", "forget_size", "clean_fraction",
    "poisoning_rate", "seed", "learning_rate",
)  # fmt: skip
SCORE_FIELDS = tuple(field for metric in METRICS for field in _with_interval(metric))
FIELDS = (
    *CELL_FIELDS, "alpha", "status", "reason", "split", *SCORE_FIELDS, "ca_retention", "ca_retention_clean",
    *(f for role in ("infected", "clean") for metric in METRICS for f in _with_interval(f"{metric}_{role}")),
    "reference_ca", "seconds", "skipped_samples", "fingerprint",
)  # fmt: skip
"""The columns of results.csv, and the first keys of a trial in results.json."""
POINT_FIELDS = ("alpha", "split", *SCORE_FIELDS, "ca_retention")


def write_report(spec: CampaignSpec, store: Store, out: Path, records: Sequence[Record]) -> list[Path]:
    """Write results, figures and summary to a folder and return the files.

    Args:
        spec: the campaign.
        store: where the examples of poisoned pairs lie.
        out: the folder; made if missing, files of an earlier report are replaced.
        records: the trials, in the order to be shown.

    Raises:
        StoreError: if the folder cannot be written.
    """
    trials = [result_of(record) for record in records]
    examples = examples_of(records, spec, store)
    texts = {
        "results.json": json.dumps(trials, indent=1, ensure_ascii=False) + "\n",
        "results.csv": _table(FIELDS, trials),
        "path.csv": _table(("fingerprint", *CELL_FIELDS, *POINT_FIELDS), _points(trials)),
    }
    figures = {
        "alpha.png": alpha_figure(records),
        "tradeoff.png": tradeoff_figure(records),
        "contact_sheet.png": contact_sheet(examples, list(spec.attacks)),
    }
    if len({r["attack"] for r in records}) >= LEAST:
        figures["attacks.png"] = attacks_figure(records)
    if any(len({r[factor] for r in records}) > 1 for factor in ("forget_size", "clean_fraction")):
        figures["ablation.png"] = ablation_figure(records)
    if varies(records):
        figures["transfer.png"] = transfer_figure(records)
    if maps_of(records):
        figures["disentanglement.png"] = disentanglement_figure(records)
    texts["report.md"] = summary(spec, records, store, list(figures))
    contents = {name: text.encode() for name, text in texts.items()}
    contents.update((name, _png(figure)) for name, figure in figures.items())
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, content in contents.items():
            _replace(out / name, content)
    except OSError as error:
        raise StoreError(f"report {out} cannot be written: {error.strerror or error}") from None
    return [out / name for name in contents]


def result_of(record: Record) -> Record:
    """Return a trial as results.json has it: fields in a fixed order, None where unknown, then the path."""
    rest = sorted(set(record) - {*FIELDS, "alphas", "path"})
    path = [{field: point.get(field) for field in POINT_FIELDS} for point in record.get("path") or []]
    return {
        **{field: record.get(field) for field in FIELDS},
        **{field: record[field] for field in rest},
        "alphas": record.get("alphas"),
        "path": path,
    }


def _points(trials: Iterable[Record]) -> Iterable[Record]:
    for trial in trials:
        cell = {field: trial.get(field) for field in ("fingerprint", *CELL_FIELDS)}
        for point in trial["path"]:
            yield {**cell, **point}


def _table(fields: Sequence[str], rows: Iterable[Record]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, fields, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _png(figure: Figure) -> bytes:
    image = io.BytesIO()
    figure.savefig(image, format="png", metadata={"Software": None})  # the same figure, the same bytes
    return image.getvalue()


def _replace(path: Path, content: bytes) -> None:
    """Write beside the file and rename, so that a reader sees the old file or the new one."""
    part = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        part.write_bytes(content)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
