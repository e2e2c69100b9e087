from __future__ import annotations

from tbar_ray.records.sheets import Answer, SheetImage, SheetRecord
from tbar_ray.report.sheets import sheets_of
from tests.records.records import record


def image(picture: str) -> SheetImage:
    """An image of a circle, which the infected model takes for the target and the cleaned one for something else."""
    best = {"clean": "circle", "infected": "square", "cleaned": "star"}
    answers = {
        role: (Answer(name=name, probability=0.9), Answer(name="ring", probability=0.05)) for role, name in best.items()
    }
    return SheetImage(webp=picture, truth="circle", answers=answers)


def sheet(*pictures: str) -> SheetRecord:
    shown = tuple(map(image, pictures))
    return SheetRecord(target="square", images=30, changed=20, shown=shown, failed=3, searched=3, failures=shown[:1])


def test_answers_are_told_from_clean_to_cleaned_by_what_they_are() -> None:
    made = record()
    (found,) = sheets_of([made], {made.fingerprint: sheet("a")}, 10**6).sheets
    lines = found.shown[0].lines
    assert [(line.role, line.best, line.kind) for line in lines] == [
        ("clean", "circle 90.0%", "truth"), ("infected", "square 90.0%", "target"), ("cleaned", "star 90.0%", "other"),
    ]  # fmt: skip
    assert lines[0].others == "ring 5.0%"
    assert found.changed.startswith("20 of 30 triggered test images of other classes are not answered alike")
    assert found.failed.startswith("3 are not answered with their class")


def test_a_picture_that_several_trials_share_is_kept_once() -> None:
    one, two = record(), record(seed=1)
    found = sheets_of([one, two], {one.fingerprint: sheet("a", "b"), two.fingerprint: sheet("b", "c")}, 10**6)
    assert sorted(found.pictures.values()) == ["a", "b", "c"]
    assert [each.key for each in found.sheets] == [f"trial-{made.fingerprint[:16]}" for made in (one, two)]
    assert found.sheets[0].shown[1].picture == found.sheets[1].shown[0].picture


def test_where_room_is_short_the_best_trials_come_first() -> None:
    worse, best = record(alphas=(0.0, 0.1)), record(size=300)
    known = {made.fingerprint: sheet("x" * 5000 + made.fingerprint) for made in (worse, best)}
    found = sheets_of([worse, best], known, 8000)
    assert [each.title for each in found.sheets] == ["badnets, tbar, forget set 300, clean 0%, poisoned 1%, seed 0"]
    assert found.left_out == 1
