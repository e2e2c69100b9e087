from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from tbar_ray.records.record import TrialRecord
from tbar_ray.records.sheets import Answer, KeptSheets, SheetImage, SheetRecord, write_sheet
from tbar_ray.report.sheets import sheets_of
from tbar_ray.store.store import Store
from tests.records.records import record


class Known(KeptSheets):
    """Sheets by fingerprint, and which of them were asked for."""

    def __init__(self, known: Mapping[str, SheetRecord | None]) -> None:
        self.known, self.asked = known, list[str]()

    def __contains__(self, record: TrialRecord) -> bool:
        return record.fingerprint in self.known

    def sheet(self, record: TrialRecord) -> SheetRecord | None:
        self.asked.append(record.fingerprint)
        return self.known[record.fingerprint]


def image(picture: str) -> SheetImage:
    """An image of a circle, which the infected model takes for the target and the cleaned one for something else."""
    best = {"clean": "circle", "infected": "square", "cleaned": "star"}
    answers = {
        role: (Answer(name=name, probability=0.9), Answer(name="ring", probability=0.05)) for role, name in best.items()
    }
    return SheetImage(webp=picture, truth="circle", answers=answers)


def sheet(*pictures: str) -> SheetRecord:
    shown = tuple(map(image, pictures))
    return SheetRecord(target="square", images=30, changed=20, shown=shown, failed=3, failures=shown[:1])


def test_answers_are_told_from_clean_to_cleaned_by_what_they_are() -> None:
    made = record()
    (found,) = sheets_of([made], Known({made.fingerprint: sheet("a")}), 10**6).sheets
    lines = found.shown[0].lines
    assert [(line.role, line.best, line.kind) for line in lines] == [
        ("clean", "circle 90.0%", "truth"), ("infected", "square 90.0%", "target"), ("cleaned", "star 90.0%", "other"),
    ]  # fmt: skip
    assert lines[0].others == "ring 5.0%"
    assert found.changed.startswith("20 of 30 triggered test images of other classes are not answered alike")
    assert found.failed.startswith("3 are not answered with their class")


def test_a_picture_that_several_trials_share_is_kept_once() -> None:
    one, two = record(), record(seed=1)
    found = sheets_of([one, two], Known({one.fingerprint: sheet("a", "b"), two.fingerprint: sheet("b", "c")}), 10**6)
    assert sorted(found.pictures.values()) == ["a", "b", "c"]
    assert [each.key for each in found.sheets] == [f"trial-{made.fingerprint[:16]}" for made in (one, two)]
    assert found.sheets[0].shown[1].picture == found.sheets[1].shown[0].picture


def test_where_room_is_short_the_best_trials_come_first_and_no_more_sheets_are_asked_for() -> None:
    worse, worst, best = record(alphas=(0.0, 0.1)), record(alphas=(0.0, 0.05)), record(size=300)
    every = (worse, worst, best)
    known = Known({made.fingerprint: sheet("x" * 5000 + made.fingerprint) for made in every})
    found = sheets_of(every, known, 8000)
    assert [each.title for each in found.sheets] == ["badnets, tbar, forget set 300, clean 0%, poisoned 1%, seed 0"]
    assert found.left_out == 2
    assert known.asked == [best.fingerprint, worse.fingerprint]


def test_a_trial_that_turns_out_to_have_none_is_not_left_out() -> None:
    one, two = record(), record(seed=1)
    found = sheets_of([one, two], Known({one.fingerprint: None, two.fingerprint: sheet("a")}), 10**6)
    assert [each.key for each in found.sheets] == [f"trial-{two.fingerprint[:16]}"]
    assert found.left_out == 0


@pytest.mark.parametrize(("searched", "told"), [(None, False), (3, False), (2, True)])
def test_a_sheet_of_an_earlier_version_says_among_how_many_it_sought(searched: int | None, told: bool) -> None:
    made = record()
    old = sheet("a").model_copy(update={"searched": searched})
    (found,) = sheets_of([made], Known({made.fingerprint: old}), 10**6).sheets
    assert ("evenly spaced" in found.failed) == told


def test_an_answer_without_a_probability_is_told_alone() -> None:
    made, bare = record(), (Answer(name="square"),)
    images = [image("a").model_copy(update={"answers": {"infected": bare}})]
    told = sheet("a").model_copy(update={"shown": tuple(images)})
    (found,) = sheets_of([made], Known({made.fingerprint: told}), 10**6).sheets
    assert [(line.best, line.kind, line.others) for line in found.shown[0].lines] == [("square", "target", "")]


def test_kept_are_those_that_were_written(tmp_path: Path) -> None:
    one, two = record(), record(seed=1)
    store = Store(str(tmp_path))
    write_sheet(store, "campaigns/demo", one.fingerprint, sheet("a"))
    kept = KeptSheets(store, "campaigns/demo")
    assert one in kept
    assert two not in kept
    assert kept.sheet(one) == sheet("a")
