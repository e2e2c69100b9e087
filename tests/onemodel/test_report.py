"""The page: whole, escaped, offline, small."""

from __future__ import annotations

import dataclasses
from html.parser import HTMLParser
from pathlib import Path

import pytest

import tbar_ray as tbar
from tbar_ray.errors import DataError
from tbar_ray.evaluation.rates import Rate
from tbar_ray.onemodel.examine import Examined
from tbar_ray.onemodel.measure import Measurement
from tbar_ray.onemodel.panels import DetectorResult, Panels, ReboundCurve
from tbar_ray.onemodel.remove import Cleaned
from tbar_ray.onemodel.report import losses, report_html, write_report

EVIL = "<script>alert(1)</script>"
DETECTOR = DetectorResult("decree", 0.05, (0.3, 0.4), (0.04,), 0.1, False, Rate.of(1, 20), Rate.of(2, 20), "least mask")
REBOUND = ReboundCurve("cleaned", (0, 10), (Rate.of(1, 9), Rate.of(3, 9)), (Rate.of(8, 9), Rate.of(8, 9)), "10k pairs")


class Page(HTMLParser):
    """Counts tags, and collects what they refer to and the text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.places: list[str] = []
        self.text = ""
        self.styled = False
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.styled = tag == "style"
        self.places += [value or "" for name, value in attrs if name in ("src", "href")]

    def handle_endtag(self, tag: str) -> None:
        self.styled = self.styled and tag != "style"

    def handle_data(self, data: str) -> None:
        self.text += "" if self.styled else data


@pytest.fixture(scope="module")
def page(cleaned: Cleaned) -> Page:
    return Page(report_html(cleaned.examined, cleaned, manifest={"alpha": 6}, command=["tbar", "unlearn", "a b"]))


def test_it_is_one_page_that_loads_nothing(page: Page) -> None:
    assert "script" not in page.tags
    assert "link" not in page.tags
    assert page.places
    assert all(place.startswith("data:image/") for place in page.places)


def test_it_is_small_and_has_every_part(cleaned: Cleaned, page: Page, tmp_path: Path) -> None:
    file = write_report(tmp_path / "report.html", cleaned.examined, cleaned)
    assert file.stat().st_size < 5_000_000
    assert sum(place.startswith("data:image/png") for place in page.places) == 8
    assert sum(place.startswith("data:image/svg") for place in page.places) == 2
    for part in (
        "How far to trust this", "What it cannot see", "The file", "The trigger", "Scores", "Classes that lost most",
        "Strength of the edit", "What changed in the weights", "How it was made", "tbar unlearn 'a b'", '"alpha": 6',
    ):  # fmt: skip
        assert part in page.text, part
    facts = cleaned.examined.opened.facts
    assert facts is not None
    assert facts.sha256 in page.text


def test_the_verdict_comes_first(page: Page) -> None:
    assert page.text.index("was found and removed") < page.text.index("How far to trust this")
    assert page.tags.index("h1") < page.tags.index("h2")


def test_panels_that_nobody_measured_are_named_in_one_sentence(page: Page, cleaned: Cleaned) -> None:
    assert page.text.count("Not measured for this report") == 1
    assert "Detectors" not in page.text
    shown = Page(report_html(cleaned.examined, cleaned, panels=Panels((DETECTOR,), (DETECTOR,), (REBOUND,))))
    assert "Not measured" not in shown.text
    for part in ("Detectors", "least mask", "Does it come back?", "10k pairs", "scanned again"):
        assert part in shown.text, part
    assert sum(place.startswith("data:image/svg") for place in shown.places) == 5


def test_what_a_user_named_is_escaped(cleaned: Cleaned) -> None:
    examined = cleaned.examined
    named = tbar.Classes((EVIL, *examined.test.classes.names[1:]), examined.test.classes.templates)
    shown = tuple(
        dataclasses.replace(picture, truth=EVIL, after=(dataclasses.replace(picture.after[0], name=EVIL),))
        for picture in cleaned.pictures
    )
    rates = {EVIL: Rate.of(3, 9)}
    evil = dataclasses.replace(
        examined,
        test=dataclasses.replace(examined.test, classes=named),
        opened=dataclasses.replace(examined.opened, source=EVIL),
        suspect=dataclasses.replace(
            examined.suspect, origin=EVIL, backdoor=tbar.Backdoor(examined.backdoor.trigger, EVIL)
        ),
        before=dataclasses.replace(examined.before, by_class={EVIL: Rate.of(9, 9)}),
        retrieval={EVIL: {"image_to_text_at_1": Rate.of(3, 9)}},
    )
    after = dataclasses.replace(
        cleaned, examined=evil, pictures=shown, retrieval={EVIL: {"image_to_text_at_1": Rate.of(3, 9)}},
        after=dataclasses.replace(cleaned.after, by_class=rates),
    )  # fmt: skip
    html = report_html(evil, after, manifest={"class": EVIL}, command=["tbar", EVIL])
    assert "script" not in Page(html).tags
    assert EVIL not in html
    assert html.count("&lt;script&gt;") >= 6


def test_of_a_model_that_was_not_cleaned_only_its_scores_are_shown(examined: Examined) -> None:
    page = Page(report_html(examined))
    assert "Strength of the edit" not in page.text
    assert "best answers" in page.text
    assert "before" not in page.text
    assert "after" not in page.text.replace("after fine-tuning", "")


def test_classes_are_sorted_by_what_they_lost(cleaned: Cleaned) -> None:
    def with_classes(hits: dict[str, int]) -> Measurement:
        return dataclasses.replace(cleaned.after, by_class={name: Rate.of(hit, 10) for name, hit in hits.items()})

    examined = dataclasses.replace(cleaned.examined, before=with_classes({"a": 9, "b": 9, "c": 9, "d": 5}))
    after = dataclasses.replace(cleaned, after=with_classes({"a": 9, "b": 4, "c": 7, "d": 6}))
    found = losses(examined, after)
    assert [(loss.name, loss.points, loss.images) for loss in found] == [("b", "50.0", 10), ("c", "20.0", 10)]


def test_a_place_that_cannot_be_written_is_one_line(examined: Examined, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot write the report"):
        write_report(tmp_path / "nowhere" / "report.html", examined)
