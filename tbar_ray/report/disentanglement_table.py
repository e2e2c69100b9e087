"""Weight disentanglement in numbers: ξ where it is read, and over the whole map."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite

from tbar_ray.records.record import TrialRecord
from tbar_ray.report.figures.disentanglement_figure import factors_of_maps, maps_of, total_of
from tbar_ray.report.text import Markdown, section, share, table

LOW = 0.1
"""ξ below which a cell counts as disentangled."""
NOTE = (
    "ξ(α_c, α_t) of the clean model with a clean and a trigger vector, fine-tuned apart: the share of clean images "
    "plus the share of triggered images whose answer changes when the other vector is added, from 0 to 2. (1, −α): the "
    "trigger negated at the α that validation selects; – where the grid does not reach it."
)


def disentanglement(records: Sequence[TrialRecord]) -> Markdown:
    """A row per map; '' for a campaign without maps."""
    import numpy as np

    rows = []
    factors = factors_of_maps(records)
    for record in sorted(maps_of(records), key=lambda r: r.attack):
        content = record.disentanglement
        assert content is not None
        total = total_of(content)
        known = total[np.isfinite(total)]
        rows.append(
            [
                record.attack,
                str(record.seed),
                *(factor.form(record.setting(factor.name)) for factor in factors),
                _number(content.at_planted),
                _number(content.at_negated),
                "–" if content.alpha is None else f"{content.alpha:.3g}",
                _number(float(known.mean()) if known.size else None),
                share(float((known < LOW).mean()) if known.size else None),
                f"{known.size:,}" if known.size == total.size else f"{known.size:,} of {total.size:,}",
            ]
        )
    below = Markdown(f"cells with ξ < {LOW:g}")
    head = [
        "attack",
        "seed",
        *(factor.label for factor in factors),
        "ξ(1, 1)",
        "ξ(1, −α)",
        "α",
        "mean ξ",
        below,
        "cells known",
    ]
    return section("Weight disentanglement", NOTE, table(head, rows) if rows else "")


def _number(value: float | None) -> str:
    return "–" if value is None or not isfinite(value) else f"{value:.3f}"
