"""The report on a campaign as one HTML page that opens anywhere: figures inside, tables to sort, no network."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from tbar_ray import origin
from tbar_ray.records.account import account_of
from tbar_ray.records.launches import LaunchRecord, launches_of
from tbar_ray.records.ledger import Ledger
from tbar_ray.records.record import TrialRecord
from tbar_ray.records.sheets import KeptSheets
from tbar_ray.redaction import redact_all
from tbar_ray.report.expenses import expense_line
from tbar_ray.report.fitting import fitted
from tbar_ray.report.headline import headline, sentences
from tbar_ray.report.markdown import FIGURES, ROWS
from tbar_ray.report.page import environment, png_url, script_of
from tbar_ray.report.parameters import Parameters
from tbar_ray.report.result_cells import head_cells, trial_rows
from tbar_ray.report.scatter import result_map
from tbar_ray.report.sheets import Sheets, sheets_of
from tbar_ray.report.tables import Table
from tbar_ray.spec.campaign import CampaignSpec
from tbar_ray.store.store import Store

TEMPLATE, SCRIPT = "campaign.html", "page.js"
LIMIT = 5_000_000
"""Bytes of a page at most, so that it can be mailed."""
FOR_FIGURES = 2_600_000
"""Bytes of them for figures."""
TALL = 1.6
"""Height over width beyond which a figure is folded."""


def report_html(
    spec: CampaignSpec,
    records: Sequence[TrialRecord],
    store: Store,
    parts: Sequence[str],
    pictures: Mapping[str, bytes],
    tables: Sequence[Table],
    parameters: dict[str, Parameters],
    pages: Mapping[str, str] | None = None,
    sheets: KeptSheets | None = None,
) -> str:
    """The page.

    Args:
        spec: the campaign.
        records: its trials.
        store: with its launches and artifacts.
        parts: the report's `sections` as Markdown.
        pictures: the figures as PNG, by file name.
        tables: whose columns the data dictionary explains.
        parameters: of the trials' methods, by fingerprint.
        pages: addresses of the campaign's pages in MLflow, by name.
        sheets: of the trials; None: those that the store keeps.

    Raises:
        StoreError: if the store cannot be read.
    """
    shown = fitted({name: pictures[name] for name in FIGURES if name in pictures}, FOR_FIGURES)
    before, after = (_html(part) for part in _around(parts))
    folder = Ledger(store, spec).folder
    launches = launches_of(store, folder)
    content: dict[str, Any] = {
        "spec": spec,
        "written": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        "code": origin.code(),
        "headline": headline(records, spec.evaluation.max_asr),
        "sentences": sentences(records),
        "launches": launches,
        "pages": pages or {},
        "ended": ended_between(records),
        "cost": expense_line(account_of(records)),
        "command": reproducing(spec, launches),
        "yaml": as_yaml(spec),
        "before": before,
        "after": after,
        "heads": head_cells(records),
        "rows": trial_rows(records, parameters),
        "map": result_map(records),
        "figures": [(name, FIGURES[name], png_url(found.content), found.tall > TALL) for name, found in shown.items()],
        "tables": tables,
        "script": script_of(("tbar_ray.report", SCRIPT)),
    }
    template = environment("tbar_ray.report").get_template(TEMPLATE)
    bare = template.render(**content, sheets=Sheets())
    found = sheets_of(records, sheets or KeptSheets(store, folder), LIMIT - len(bare.encode()))
    return template.render(**content, sheets=found) if found.sheets else bare


def as_yaml(spec: CampaignSpec) -> str:
    """The spec with every default, without secrets."""
    import yaml

    return yaml.safe_dump(redact_all(spec.model_dump(mode="json")), sort_keys=False, allow_unicode=True)


def reproducing(spec: CampaignSpec, launches: Sequence[LaunchRecord]) -> str:
    """The command that computes the campaign again: as it was typed, or with the spec of the page."""
    return launches[-1].command if launches else f"tbar campaign run {spec.name}.yaml"


def ended_between(records: Sequence[TrialRecord]) -> tuple[str, str, timedelta] | None:
    """When the first and the last of the trials ended, UTC, and the time between; None for records without times."""
    times = sorted(record.ended for record in records if record.ended is not None)
    if not times:
        return None
    first, last = (f"{datetime.fromtimestamp(time, UTC):%Y-%m-%d %H:%M} UTC" for time in (times[0], times[-1]))
    return first, last, timedelta(seconds=round(times[-1] - times[0]))


def _around(parts: Sequence[str]) -> tuple[str, str]:
    """The sections before the table of results and after it."""
    place = list(parts).index(ROWS)
    return "\n\n".join(parts[:place]), "\n\n".join(parts[place + 1 :])


def _html(markdown: str) -> str:
    """Markdown of a report as HTML. Texts of users are escaped in it; HTML in Markdown is not let through."""
    from markdown_it import MarkdownIt

    found = str(MarkdownIt("commonmark", {"html": False}).enable("table").render(markdown))
    found = found.replace("<table>", '<div class="wide"><table class="sortable">').replace("</table>", "</table></div>")
    return re.sub(r"<h2>(.*?)</h2>", lambda match: f'<h2 id="{_anchor(match[1])}">{match[1]}</h2>', found)


def _anchor(title: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")
