from __future__ import annotations

import pytest

from tbar_ray.report.text import Markdown, bold, bullets, code, escape, paragraphs, points, section, table
from tests.report.reading import rows_of

HOSTILE = "a|b <img src=x onerror=y> `c` ![d](http://e) [f](g) [h]: i *j* _k_ &lt; \\ ~l~ $m_n$ 红"
SAFE = "a\\|b &lt;img src=x onerror=y&gt; " + (
    "\\`c\\` \\![d\\](http://e) [f\\](g) [h\\]: i \\*j\\* \\_k\\_ &amp;lt; \\\\ \\~l\\~ \\$m_n\\$ 红"
)


def test_nothing_that_markdown_acts_on_passes() -> None:
    assert escape(HOSTILE) == SAFE
    assert bullets([HOSTILE]) == f"- {SAFE}"
    assert section(HOSTILE, "text") == f"## {SAFE}\n\ntext"
    assert table([HOSTILE], [[HOSTILE]]) == f"| {SAFE} |\n| --- |\n| {SAFE} |"
    assert bold(HOSTILE) == f"**{SAFE}**"


def test_what_a_report_writes_itself_stays_as_it_is() -> None:
    for text in ("82.2% [80.0, 84.3]", "asr_all_images", "20 → 300 -1.5", "ξ(1, −α)", "a & b", "–"):
        assert escape(text) == text
    assert escape(Markdown("**a**")) == "**a**"
    assert bullets([Markdown("`a`")]) == "- `a`"


def test_no_change_has_no_minus() -> None:
    assert points(-0.0001) == points(0.0) == "+0.0"
    assert points(-0.013, -0.02, -0.0001) == "-1.3 [-2.0, +0.0]"


@pytest.mark.parametrize("line", ["# a", "---", "=== ", "- a", "+ a", "  # a"])
def test_a_description_makes_no_headings_and_no_lists(line: str) -> None:
    assert paragraphs(f"text\n{line}") == f"text\n\\{line.strip()}".rstrip()
    assert paragraphs("two\n\nparts") == "two\n\nparts"


def test_lines_in_cells_and_items_do_not_break_them() -> None:
    assert table(["a"], [["b\n\nc"]]).splitlines()[-1] == "| b c |"
    assert bullets(["a\n# b"]) == "- a # b"
    assert rows_of(table(["x", "y"], [["a | b", "c"]])) == [{"x": "a \\| b", "y": "c"}]


def test_code_holds_backticks() -> None:
    assert code("s3://a/b") == "`s3://a/b`"
    assert code("a`<b>``c") == "``` a`<b>``c ```"


def test_a_section_about_nothing_is_nothing() -> None:
    assert section("title", "note", "") == ""
