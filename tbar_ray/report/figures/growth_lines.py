"""CA kept against the samples that pretraining saw: the lines of a campaign, their cells, and the laws fitted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from tbar_ray.planning.axes import Factor, Setting
from tbar_ray.records.cells import Panel, grouped, one_per_cell, panel_of
from tbar_ray.records.record import TrialRecord
from tbar_ray.report.figures.looks import factors_within

if TYPE_CHECKING:
    from tbar_ray.evaluation.growth_law import GrowthLaw

OF_PRETRAINING = frozenset(
    {
        "data.synthetic.samples",
        "data.train",
        "model.pretrained",
        "model.samples_seen",
        "model.synthetic.samples",
        "model.training.epochs",
    }
)
"""Axes that change how many samples pretraining sees: places along a line, not lines."""
PRETRAINING_SEEDS = ("data.synthetic.seed", "model.synthetic.seed")
"""Axes that repeat the pretraining, as `seed` does the attack."""
MAX_ASR = 0.02
"""Validation ASR that counts as removed where a campaign's spec says none."""
PUBLISHED = (0.9496, 0.9644, 0.9497)
"""Share of CA that TBAR keeps on ViT-B/32: SUN397, CIFAR100, ImageNet-1K (2510.14845)."""
PUBLISHED_SAMPLES = 400_000_000 * 32
"""Pairs times epochs of OpenAI's weights of it (2103.00020)."""


@dataclass(frozen=True)
class GrowthCell:
    """The trials of one line and number of samples: its seeds."""

    samples: int
    records: tuple[TrialRecord, ...]
    max_asr: float

    @property
    def taken(self) -> list[TrialRecord]:
        """The trials that did not fail: those whose attack took."""
        return [record for record in self.records if record.status != "failed"]

    @property
    def kept(self) -> list[tuple[str, float]]:
        """Seeds and CA after removal over the infected model's, of every trial whose backdoor was removed."""
        return [
            (" ".join(str(record.setting(seed)) for seed in (*PRETRAINING_SEEDS, "seed")), record.ca_retention)
            for record in self.records
            if is_removed(record, self.max_asr) and record.ca_retention is not None
        ]


@dataclass(frozen=True)
class GrowthLine:
    """The cells of one panel that differ in the samples seen and in seeds alone; fewest samples first.

    `values` are those of the axes that tell lines apart.
    """

    panel: Panel
    values: tuple[Setting, ...]
    cells: tuple[GrowthCell, ...]

    @property
    def sizes(self) -> int:
        """Numbers of samples at which CA kept is known."""
        return sum(bool(cell.kept) for cell in self.cells)

    @property
    def law(self) -> GrowthLaw | None:
        """The law fitted to every trial whose backdoor was removed; None at too few sizes."""
        from tbar_ray.evaluation.growth_law import LEAST_SIZES

        if self.sizes < LEAST_SIZES:
            return None
        return _law(tuple((cell.samples, kept, seed) for cell in self.cells for seed, kept in cell.kept))


def is_removed(record: TrialRecord, max_asr: float) -> bool:
    """Whether a trial's selected α brings validation ASR to `max_asr` and keeps enough CA."""
    point = record.selected_point
    return record.status == "done" and point is not None and point.asr <= max_asr


def removed_at(max_asr: float | None) -> float:
    """Validation ASR that counts as removed: the spec's, else `MAX_ASR`."""
    return MAX_ASR if max_asr is None else max_asr


def line_factors(records: Sequence[TrialRecord]) -> list[Factor]:
    """Axes that tell lines of a panel apart."""
    repeated = {*OF_PRETRAINING, *PRETRAINING_SEEDS}
    return [factor for factor in factors_within(one_per_cell(records)) if factor.name not in repeated]


def growth_lines(records: Sequence[TrialRecord], max_asr: float | None) -> list[GrowthLine]:
    """Lines with several numbers of samples, in the order of their trials; none where pretraining does not vary.

    Args:
        records: of a campaign.
        max_asr: validation ASR that counts as removed, of the spec.
    """
    chosen = [record for record in one_per_cell(records) if record.pretraining_samples is not None]
    factors = line_factors(records)

    def key(record: TrialRecord) -> tuple[Panel, tuple[Setting, ...]]:
        return panel_of(record), tuple(record.setting(factor.name) for factor in factors)

    lines = []
    for (panel, values), own in grouped(chosen, key).items():
        by_samples = grouped(own, lambda r: (r.pretraining_samples or 0,))
        limit = removed_at(max_asr)
        cells = tuple(GrowthCell(samples, tuple(by_samples[samples,]), limit) for (samples,) in sorted(by_samples))
        if len(cells) > 1:
            lines.append(GrowthLine(panel, values, cells))
    return lines


def label_of(line: GrowthLine, factors: Sequence[Factor]) -> str:
    """The values that tell a line from others, '' for a single line."""
    return ", ".join(factor.form(value) for factor, value in zip(factors, line.values, strict=True))


@cache
def _law(measured: tuple[tuple[int, float, str], ...]) -> GrowthLaw:
    from tbar_ray.evaluation.growth_law import fit_growth_law

    samples, kept, seeds = zip(*measured, strict=True)
    return fit_growth_law(samples, kept, seeds)
