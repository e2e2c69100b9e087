from __future__ import annotations

from itertools import product

from tbar_ray.report.figures import style
from tbar_ray.report.figures.looks import UNSET, Looks, factors_drawn, factors_within
from tests.records.records import epochs_grid, grid, matrix, record

EPOCHS = "model.training.epochs"


def labels(looks: Looks) -> list[str]:
    return [str(entry.get_label()) for entry in looks.entries()]


def test_the_usual_axes_keep_their_looks() -> None:
    for records in (grid(), grid(sizes=(20,)), matrix()):
        assert [factor.name for factor in factors_drawn(records)] == ["forget_size", "clean_fraction"]
    looks = Looks(grid())
    assert labels(looks) == ["forget-set size", "20", "300", "clean fraction", "0%", "50%"]
    small, mixed = looks.of(record(size=20)), looks.of(record(size=20, fraction=0.5))
    assert small.colour == mixed.colour != looks.of(record(size=300)).colour
    assert (small.dashes, small.marker) == (style.DASHES[0], "o")
    assert (mixed.dashes, mixed.marker) == (style.DASHES[1], "s")


def test_the_first_axis_that_varies_has_the_colour_and_the_second_dash_and_marker() -> None:
    only = Looks(epochs_grid((1, 3)))
    assert labels(only) == ["epochs", "1", "3"]
    records = [record(poisoning_rate=p, axes={EPOCHS: e}) for p, e in product((0.01, 0.05), (1, 3))]
    looks = Looks(records)
    assert labels(looks) == ["poisoning rate", "1%", "5%", "epochs", "1", "3"]
    found = [looks.of(r) for r in records]
    assert [look.colour == found[0].colour for look in found] == [True, True, False, False]
    assert [look.marker for look in found] == ["o", "s", "o", "s"]
    assert [look.dashes == "-" for look in found] == [True, False, True, False]


def test_names_are_levels_in_order_of_appearance_and_many_differ() -> None:
    names = [f"m{9 - i}" for i in range(9)]
    records = [record(poisoning_rate=p, axes={"model.architecture": n}) for p, n in product((0.01, 0.05), names)]
    looks = Looks(records)
    assert labels(looks)[4:] == names
    assert len({(str(look.dashes), look.marker) for look in map(looks.of, records)}) == 9


def test_numbers_beyond_the_most_share_ranges() -> None:
    looks = Looks([record(size=10 + 17 * i, fraction=i / 61) for i in range(60)])
    at = labels(looks).index("clean fraction")
    assert (at - 1, len(labels(looks)) - at - 1) == (6, 4)


def test_an_axis_of_one_value_that_some_panels_lack_has_no_look() -> None:
    records = [record(), record(method="finetune", axes={"finetune.steps": 3}), record("sig", poisoning_rate=0.05)]
    assert factors_within(records) == []


def test_a_trial_without_the_axis_looks_unset() -> None:
    lacking = record()
    steps = [record(method="finetune", axes={"finetune.steps": n}) for n in (1, 3)]
    looks = Looks([lacking, *steps])
    assert looks.of(lacking).colour == UNSET.colour
    assert labels(looks) == ["steps", "1", "3", "not set"]
