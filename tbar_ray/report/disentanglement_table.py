"""Weight disentanglement in numbers: ξ where it is read, and over the whole map."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite

from tbar_ray.records.measures import GeometryRecord
from tbar_ray.records.record import TrialRecord
from tbar_ray.report.figures.disentanglement_figure import factors_of_maps, maps_of, total_of
from tbar_ray.report.text import Markdown, section, share, table

ANGLES = ("cos(τ_t, τ_y)", "‖τ_t‖ / ‖θ‖", "gradient overlap", "by depth")
"""Heads of the columns of a trigger's geometry."""
LOW = 0.1
"""ξ below which a cell counts as disentangled."""
NOTE = (
    "ξ(α_c, α_t) of the clean model with a clean and a trigger vector, fine-tuned apart: the share of clean images "
    "plus the share of triggered images whose answer changes when the other vector is added, from 0 to 2. (1, −α): the "
    "trigger negated at the α that validation selects. The map's trigger vector τ_t has another length than the "
    "trial's τ; ξ at equal length is at (1, −α·‖τ‖ / ‖τ_t‖). – where the grid does not reach it, or nothing is negated."
)
OF_GEOMETRY = (
    "cos(τ_t, τ_y): of the trigger's vector and that of the same images without the trigger, also labelled with the "
    "target; 1: the trigger is learned as if the images were of the target. ‖τ_t‖ / ‖θ‖: of the image encoder. "
    "Gradient overlap: cosine of the gradients of trigger loss and clean loss at the clean model, over all its image "
    "encoder and in the quarters of its depth from the image's side."
)


def disentanglement(records: Sequence[TrialRecord]) -> Markdown:
    """A row per map; '' for a campaign without maps."""
    import numpy as np

    rows = []
    factors, maps = factors_of_maps(records), sorted(maps_of(records), key=lambda r: r.attack)
    measured = any(r.disentanglement is not None and r.disentanglement.geometry is not None for r in maps)
    for record in maps:
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
                _number(content.at_equal_length),
                _number(float(known.mean()) if known.size else None),
                share(float((known < LOW).mean()) if known.size else None),
                f"{known.size:,}" if known.size == total.size else f"{known.size:,} of {total.size:,}",
                *(_angles(content.geometry) if measured else ()),
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
        "ξ at equal length",
        "mean ξ",
        below,
        "cells known",
        *(ANGLES if measured else ()),
    ]
    note = f"{NOTE} {OF_GEOMETRY}" if measured else NOTE
    return section("Weight disentanglement", note, table(head, rows) if rows else "")


def _angles(geometry: GeometryRecord | None) -> list[str]:
    if geometry is None:
        return ["–"] * len(ANGLES)
    values = (geometry.cosine_towards_target, geometry.relative_length, geometry.gradient_overlap)
    return [
        *map(_number, values),
        ", ".join("–" if v is None else f"{v:.2f}" for v in geometry.gradient_overlap_by_depth),
    ]


def _number(value: float | None) -> str:
    return "–" if value is None or not isfinite(value) else f"{value:.3f}"
