"""The page of a campaign: one file, nothing from elsewhere, nothing of a user's that acts as HTML."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from tbar_ray.records.launches import note_launch
from tbar_ray.records.ledger import Ledger
from tbar_ray.records.record import TrialRecord
from tbar_ray.records.sheets import Answer, SheetImage, SheetRecord, write_sheet
from tbar_ray.report import html
from tbar_ray.report.html import report_html
from tbar_ray.report.markdown import sections
from tbar_ray.report.result_cells import key_of
from tbar_ray.report.tables import Table
from tbar_ray.store.store import Store
from tests.records.records import failed, grid, record
from tests.report.campaign import SPEC

EVIL = "<script>alert(1)</script>"


class Links(HTMLParser):
    """All that a page loads or leads to, and its anchors."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.anchors: set[str] = set()
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002 - of the parser
        for name, value in attrs:
            if name in ("src", "href") and value is not None:
                self.found.append(value)
            if name == "id" and value is not None:
                self.anchors.add(value)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(str(tmp_path / "store"))


def page_of(store: Store, records: list[TrialRecord], pictures: dict[str, bytes] | None = None) -> str:
    tables = [Table("results", ["attack"], [{"attack": r.attack} for r in records])]
    parts = sections(SPEC, records, store)
    return report_html(SPEC, records, store, parts, pictures or {}, tables, {})


def test_a_page_needs_nothing_from_elsewhere_and_its_links_lead_somewhere(store: Store) -> None:
    page = page_of(store, [*grid(), failed(size=70)], {"alpha.png": b"drawn"})
    links = Links(page)
    assert [link for link in links.found if not link.startswith(("#", "data:"))] == []
    assert base64.b64encode(b"drawn").decode() in page
    assert {link[1:] for link in links.found if link.startswith("#")} <= links.anchors
    (script,) = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in page, "no other script runs"


def test_the_campaigns_pages_in_mlflow_are_linked(store: Store) -> None:
    records = grid()
    tables = [Table("results", ["attack"], [{"attack": r.attack} for r in records])]
    address = "http://127.0.0.1:5000/#/experiments/7/runs?a=1&compareRunsMode=CHART"
    page = report_html(SPEC, records, store, sections(SPEC, records, store), {}, tables, {}, {"compare": address})
    assert address in Links(page).found
    assert "MLflow, compare" in page
    assert "MLflow, compare" not in page_of(store, records)


def test_every_trial_has_a_row_to_sort_and_a_point_to_hover_over(store: Store) -> None:
    page = page_of(store, grid())
    assert "The best trials bring the ASR of 2 attacks" in page
    for made in grid():
        assert f'id="{key_of(made)}"' in page
        assert f'<a href="#{key_of(made)}"><path' in page
    assert 'data-value="300"' in page
    assert "95% interval" in page
    assert page.count('<table class="sortable') >= 2


def test_names_act_as_text_alone(store: Store) -> None:
    page = page_of(store, [record(EVIL, target=EVIL), failed(EVIL, size=9, reason=EVIL)])
    assert EVIL not in page
    assert "&lt;script&gt;alert(1)" in page


def test_it_tells_how_it_was_made(store: Store) -> None:
    page = page_of(store, [record()])
    assert "tbar campaign run demo.yaml" in page
    assert "an earlier version" in page
    note_launch(store, Ledger(store, SPEC).folder, ["/bin/tbar", "campaign", "run", "jobs/my job.yaml"])
    page = page_of(store, [record()])
    assert "<pre>tbar campaign run &#39;jobs/my job.yaml&#39;</pre>" in page
    assert "CPUs" in page
    assert "name: demo" in page
    ended = [record(ended=1_764_000_000.0), record(seed=1, ended=1_764_003_600.0)]
    assert "first trial ended 2025-11-24 16:00 UTC, last 2025-11-24 17:00 UTC, 1:00:00 later" in page_of(store, ended)


def test_the_whole_page_stays_below_its_limit(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, records = Ledger(store, SPEC).folder, grid()
    for place, made in enumerate(records):
        image = SheetImage(
            webp="x" * 40_000 + str(place),
            truth="circle",
            answers={role: (Answer(name="circle", probability=0.9),) for role in ("clean", "infected", "cleaned")},
        )
        sheet = SheetRecord(target="square", images=9, changed=1, shown=(image,), failed=0, failures=())
        write_sheet(store, folder, made.fingerprint, sheet)
    bare = len(page_of(Store(str(Path(store.url).parent / "other")), records))
    whole = page_of(store, records)
    assert whole.count('<details class="sheet"') == len(records)
    assert f'class="unfolds" href="#sheet-{key_of(records[0])}"' in whole
    monkeypatch.setattr(html, "LIMIT", bare + 200_000)
    cut = page_of(store, records)
    assert len(cut.encode()) <= bare + 200_000
    assert 0 < cut.count('<details class="sheet"') < len(records)
    assert "more trials the sheets are left out" in cut
