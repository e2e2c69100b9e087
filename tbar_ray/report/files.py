"""The files of a report, each replaced as a whole."""

from __future__ import annotations

import io
import json
import uuid
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tbar_ray.errors import StoreError
from tbar_ray.records.cells import names_of, varies, varying
from tbar_ray.records.record import TrialRecord
from tbar_ray.records.sheets import KeptSheets
from tbar_ray.report.fields import (
    PARAMETERS,
    Row,
    fields_of,
    point_fields_of,
    point_of,
    result_of,
    settings_fields,
    settings_of,
)
from tbar_ray.report.figures.ablation import ablation_figure
from tbar_ray.report.figures.alpha import alpha_figure
from tbar_ray.report.figures.attacks import LEAST, attacks_figure
from tbar_ray.report.figures.contact import Examples, contact_sheet
from tbar_ray.report.figures.disentanglement_figure import disentanglement_figure, maps_of
from tbar_ray.report.figures.flat import Rule
from tbar_ray.report.figures.growth_figure import growth_figure
from tbar_ray.report.figures.growth_geometry import growth_geometry_figure, measured_lines
from tbar_ray.report.figures.growth_lines import growth_lines
from tbar_ray.report.figures.methods import methods_figure
from tbar_ray.report.figures.rebound_figure import rebound_figure
from tbar_ray.report.figures.tradeoff import tradeoff_figure
from tbar_ray.report.figures.transfer import transfer_figure
from tbar_ray.report.figures.visibility import visibility_figure
from tbar_ray.report.folder import PAGE
from tbar_ray.report.html import report_html
from tbar_ray.report.markdown import FIGURES, NO_EFFECT, composed, sections
from tbar_ray.report.parameters import Parameters, effective_parameters, filled
from tbar_ray.report.poisoned import examples_of
from tbar_ray.report.rebound_rows import COLUMNS, followed_of, rows_of
from tbar_ray.report.tables import Table, files_of
from tbar_ray.report.visibility import models_seen
from tbar_ray.spec.campaign import CampaignSpec
from tbar_ray.store.store import Store

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ALONG_REBOUND = ("rebound.csv", "rebound.parquet")
"""Scores of every fine-tuned model at every step, in campaigns that measure rebound."""


def write_report(
    spec: CampaignSpec,
    store: Store,
    out: Path,
    records: Sequence[TrialRecord],
    pages: Mapping[str, str] | None = None,
    sheets: KeptSheets | None = None,
) -> list[Path]:
    """Write results, figures and summary to a folder and return the files.

    Args:
        spec: the campaign.
        store: the store with the examples of poisoned pairs and the predictions.
        out: the folder; made if missing. Files of an earlier report are replaced, and its figures without data are
            removed.
        records: the trials, in the order to be shown.
        pages: addresses of the campaign's pages in MLflow, by name.
        sheets: of the trials; None: those that the store keeps.

    Raises:
        StoreError: if the folder cannot be written.
    """
    parameters = effective_parameters(records, store)
    tables = _tables(records, parameters)
    pictures = {name: _png(figure) for name, figure in _figures(records, examples_of(records, store), spec).items()}
    trials = ",\n".join(json.dumps(row, ensure_ascii=False) for row in tables[0].rows)
    parts = sections(spec, records, store)
    contents = {
        "results.json": f"[\n{trials}\n]\n".encode(),
        **files_of(tables),
        "report.md": composed(spec, records, parts, list(pictures)).encode(),
        PAGE: report_html(spec, records, store, parts, pictures, tables, parameters, pages, sheets).encode(),
        **pictures,
    }
    try:
        out.mkdir(parents=True, exist_ok=True)
        for name, content in contents.items():
            _replace(out / name, content)
        for name in {*FIGURES, *ALONG_REBOUND} - contents.keys():
            (out / name).unlink(missing_ok=True)
    except OSError as error:
        raise StoreError(f"report {out} cannot be written: {error.strerror or error}") from None
    return [out / name for name in contents]


def _figures(records: Sequence[TrialRecord], examples: Mapping[str, Examples], spec: CampaignSpec) -> dict[str, Figure]:
    """The figures by file name: those of every campaign, and those for which it has data."""
    figures = {
        "alpha.png": alpha_figure(records, Rule(spec.evaluation.min_retention, spec.evaluation.max_asr)),
        "tradeoff.png": tradeoff_figure(records),
        "contact_sheet.png": contact_sheet(examples, list(spec.attacks)),
    }
    if len({r.attack for r in records}) >= LEAST:
        figures["attacks.png"] = attacks_figure(records)
    if len(models_seen(records)) >= LEAST:
        figures["visibility.png"] = visibility_figure(records)
    if varies(records, "method"):
        figures["methods.png"] = methods_figure(records, spec.evaluation.max_asr)
    if varying(records, without=NO_EFFECT):
        figures["ablation.png"] = ablation_figure(records)
    if varies(records, "source"):
        figures["transfer.png"] = transfer_figure(records)
    if maps_of(records):
        figures["disentanglement.png"] = disentanglement_figure(records)
    if followed_of(records):
        figures["rebound.png"] = rebound_figure(records)
    if growth_lines(records, spec.evaluation.max_asr):
        figures["growth.png"] = growth_figure(records, spec.evaluation.max_asr)
    if measured_lines(records):
        figures["growth_geometry.png"] = growth_geometry_figure(records)
    return figures


def _tables(records: Sequence[TrialRecord], parameters: Mapping[str, Parameters]) -> list[Table]:
    """The tables of results: trials, their α, and where it was measured the steps of clean fine-tuning."""
    fields, settings, names = fields_of(records), settings_fields(records), names_of(records)
    trials = []
    for record in records:
        own = parameters.get(record.fingerprint)
        told: Row = {PARAMETERS: None if own is None else json.dumps(own, sort_keys=True)}
        trials.append(result_of(record, fields) | filled(record, own, names) | told)
    along = ("fingerprint", *settings)
    tables = [
        Table("results", fields, trials),
        Table("path", (*along, *point_fields_of(records)), list(_points(records)), "validation"),
    ]
    if followed_of(records):
        tables.append(Table("rebound", (*along, *COLUMNS), list(rows_of(records)), of="of the model of the row"))
    return tables


def _points(records: Iterable[TrialRecord]) -> Iterable[Row]:
    for record in records:
        for point in record.path:
            yield {"fingerprint": record.fingerprint, **settings_of(record), **point_of(point)}


def _png(figure: Figure) -> bytes:
    image = io.BytesIO()
    figure.savefig(image, format="png", metadata={"Software": None})  # equal figures give equal bytes
    return image.getvalue()


def _replace(path: Path, content: bytes) -> None:
    """Write beside the file and rename, so that a reader sees the old file or the new one."""
    part = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        part.write_bytes(content)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
