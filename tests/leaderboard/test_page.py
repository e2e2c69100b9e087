"""The page: one file, nothing from elsewhere, nothing of a user's that acts as HTML."""

from __future__ import annotations

import base64
import hashlib
import re

from markupsafe import escape

from tbar_ray.leaderboard.aims import AIMS
from tbar_ray.leaderboard.page import leaderboard_html
from tbar_ray.leaderboard.said import COMES_BACK
from tests.leaderboard.cells import board, cell, missing
from tests.report.test_html import Links


def test_it_loads_nothing_and_its_links_lead_somewhere() -> None:
    page = leaderboard_html([*board(), cell(search="decree"), missing("z")])
    links = Links(page)
    assert [link for link in links.found if not link.startswith(("#", "data:"))] == []
    assert {link[1:] for link in links.found if link.startswith("#")} <= links.anchors
    assert not re.search(r"@import|url\(", page)
    assert "data:image/svg+xml;base64," in page, "the critical-difference picture"
    (script,) = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    assert "table.sortable" in script
    assert ".choices" in script
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in page, "no other script runs"


def test_it_has_every_measured_cell_with_its_command_and_names_what_is_missing() -> None:
    page = leaderboard_html([*board(), missing("z", "attack-9", 2)])
    (table,) = re.findall(r'<table class="sortable" id="cells">.*?</table>', page, re.DOTALL)
    assert table.count("<tr data-") == len(board())
    for found in board():
        assert found.command in table
        assert found.fingerprint in table
    assert "z: attack-9 (seed 2)" in page
    assert "Every cell is measured." in leaderboard_html(board())


def test_what_a_user_named_is_escaped_and_equal_cells_give_equal_bytes() -> None:
    cells = [*board(), cell("<script>alert(1)</script>", "<b>")]
    assert "<script>alert" not in leaderboard_html(cells)
    assert leaderboard_html(cells) == leaderboard_html(cells)


def test_without_any_cell_there_is_a_page_too() -> None:
    assert "0 of 1 cell are measured" in leaderboard_html([missing()])


def test_heads_of_the_aims_say_what_they_ask() -> None:
    page = leaderboard_html(board())
    for aim in AIMS:
        assert f'<th title="{escape(aim.text)}">{aim.name}</th>' in page


def test_it_says_what_comes_back_where_models_were_fine_tuned() -> None:
    assert f"<h3>{COMES_BACK}</h3>" in leaderboard_html(board())
    assert COMES_BACK not in leaderboard_html([cell()])
