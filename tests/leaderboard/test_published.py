"""The published leaderboard: its page, its table and the README's are made of its lines."""

from __future__ import annotations

import re
from pathlib import Path

from tbar_ray.leaderboard.lines import FILE, read_cells, text_of
from tbar_ray.leaderboard.markdown import leaderboard_markdown, short_table
from tbar_ray.leaderboard.page import leaderboard_html
from tbar_ray.leaderboard.summary import boards_of
from tbar_ray.leaderboard.writing import PAGE, TABLE

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "docs" / "leaderboard"
MARKS = re.compile(r"<!-- leaderboard:start -->\n(.*)\n<!-- leaderboard:end -->", re.DOTALL)


def test_page_and_table_are_those_of_the_lines() -> None:
    lines = (FOLDER / FILE).read_text(encoding="utf-8")
    cells = read_cells(FOLDER / FILE)
    assert text_of(cells) == lines
    again = "run `tbar leaderboard build --out docs/leaderboard`"
    assert (FOLDER / TABLE).read_text(encoding="utf-8") == leaderboard_markdown(cells), again
    assert (FOLDER / PAGE).read_text(encoding="utf-8") == leaderboard_html(cells), again


def test_the_readme_has_the_best_methods() -> None:
    found = MARKS.search((ROOT / "README.md").read_text(encoding="utf-8"))
    assert found is not None
    best = short_table(boards_of(read_cells(FOLDER / FILE))[0])
    assert found[1] == str(best), "run `tbar leaderboard build --out docs/leaderboard --fill README.md`"
