"""Which trials make a line, what of it counts as kept, and from when on it has a law."""

from __future__ import annotations

import pytest

from tbar_ray.records.record import TrialRecord
from tbar_ray.report.figures.growth_lines import growth_lines, label_of, line_factors
from tests.records.records import GROWTH, failed, grown, infeasible, record, scores

WIDTH = "model.architecture"


def widths() -> list[TrialRecord]:
    return [
        grown(attack, seed, n, axes={WIDTH: width})
        for width in ("pico", "nano")
        for attack in ("badnets", "blended")
        for n in reversed(GROWTH)
        for seed in (0, 1)
    ]


def test_a_line_is_of_one_attack_and_width_with_its_sizes_in_order_and_its_seeds() -> None:
    records = widths()
    lines = growth_lines(records, 0.02)
    factors = line_factors(records)
    assert [(line.panel.attack, label_of(line, factors)) for line in lines] == [
        ("badnets", "pico"), ("blended", "pico"), ("badnets", "nano"), ("blended", "nano"),
    ]  # fmt: skip
    for line in lines:
        assert [cell.samples for cell in line.cells] == list(GROWTH)
        assert [len(cell.records) for cell in line.cells] == [2] * 5


@pytest.mark.parametrize(
    "records",
    [
        [],
        [record(), record(size=20)],
        [grown(seed=0), grown(seed=1), grown("blended", samples=400_000)],
        [grown(axes={WIDTH: "pico"}), grown(samples=400_000, axes={WIDTH: "nano"})],
    ],
    ids=["none", "given weights", "one size an attack", "one size a width"],
)
def test_there_is_no_line_where_pretraining_does_not_vary(records: list[TrialRecord]) -> None:
    assert growth_lines(records, 0.02) == []


def test_epochs_and_published_weights_are_places_along_a_line_too() -> None:
    for axis in ("model.training.epochs", "model.pretrained"):
        made = [record(axes={axis: i}, pretraining_samples=n) for i, n in enumerate(GROWTH)]
        (line,) = growth_lines(made, 0.02)
        assert [cell.samples for cell in line.cells] == list(GROWTH)
        assert line.values == ()


def test_a_seed_of_the_data_repeats_a_cell() -> None:
    records = [
        grown(seed=seed, samples=n, axes={"data.synthetic.seed": own})
        for n in GROWTH
        for seed in (0, 1)
        for own in (0, 1)
    ]
    (line,) = growth_lines(records, 0.02)
    assert len({seeds for seeds, _ in line.cells[0].kept}) == 4


def test_what_is_not_removed_on_validation_or_failed_is_not_kept() -> None:
    records = [
        grown(seed=0, kept=0.6, asr=0.0195), grown(seed=1, kept=0.9, asr=0.03), grown(samples=400_000),
        infeasible(seed=2, axes={"data.synthetic.samples": 5000}, pretraining_samples=40_000),
        failed(seed=3, axes={"data.synthetic.samples": 5000}, pretraining_samples=40_000),
        # test ASR does not decide: α was chosen on validation
        grown(seed=4, kept=0.4, removed=scores(0.4 * 0.857, 0.5, 0.1)),
    ]  # fmt: skip
    (line,) = growth_lines(records, 0.02)
    cell = line.cells[0]
    assert [value for _, value in cell.kept] == pytest.approx([0.6, 0.4], abs=1e-3)
    assert (len(cell.records), len(cell.taken)) == (5, 4)
    (looser,) = growth_lines(records, 0.05)
    assert len(looser.cells[0].kept) == 3
    (usual,) = growth_lines(records, None)
    assert len(usual.cells[0].kept) == 2, "2 % where the spec says nothing"


def test_a_law_takes_four_sizes_at_which_something_is_kept() -> None:
    def law(sizes: int, asr: float = 0.0) -> float | None:
        records = [grown(samples=n, kept=1 / (1 + (2e5 / n) ** 0.7), asr=asr if n == GROWTH[0] else 0) for n in GROWTH]
        (line,) = growth_lines(records[:sizes], 0.02)
        return None if line.law is None else line.law.slope

    assert law(3) is None
    assert law(4) == pytest.approx(0.7, abs=0.02)
    assert law(4, asr=0.5) is None
    assert law(5, asr=0.5) == pytest.approx(0.7, abs=0.02)
