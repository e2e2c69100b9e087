"""ASR of infected models against how visible their triggers are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tbar_ray.naming import counted
from tbar_ray.records.cells import count_text, interval
from tbar_ray.records.record import TrialRecord
from tbar_ray.report.figures import style
from tbar_ray.report.figures.direct_labels import Named, label_marks
from tbar_ray.report.visibility import models_seen

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

ROOM = 1.5
"""Decibels between the largest PSNR and the place of an infinite one."""


def visibility_figure(records: Sequence[TrialRecord]) -> Figure:
    """Draw a point for each infected model; hollow where the attack did not take.

    A trigger that changes no image stands at '∞', right of all others.
    """
    models = models_seen(records)
    if not models:
        return style.message_figure("ASR against visibility", "No infected model has been scored yet.")
    attacks = sorted({record.attack for record in models})
    finite = [psnr for record in models if (psnr := _psnr(record)) is not None]
    beyond = max(finite, default=0.0) + ROOM
    named = len(models) == len(attacks)  # one model of each attack: its name stands beside it
    figure = style.new_figure(9.5, 6.4 if named else max(5.2, 0.26 * len(attacks) + 2.2))
    axes = figure.subplots()
    marks = []
    for record in models:
        found = interval(record.rate("asr", "infected"))
        assert found is not None
        value, low, high = found
        psnr = _psnr(record)
        look = {"color": style.ATTACKS[0], "marker": "o"} if named else style.attack_look(record.attack, attacks)
        marks.append(Named(beyond if psnr is None else psnr, value, record.attack))
        axes.errorbar(
            marks[-1].x, value, yerr=[[value - low], [high - value]], linestyle="none",
            markersize=7, markerfacecolor=look["color"] if record.took else "white", elinewidth=0.8, **look,
        )  # fmt: skip
    bounds = {record.gate.min_asr for record in models if record.gate is not None}
    for bound in bounds:
        axes.axhline(bound, color=style.FAINT, linewidth=0.9, linestyle=(0, (5, 3)), zorder=0)
    style.dress(axes)
    style.percent(axes, "y", whole=True)
    axes.set_xlabel("PSNR of stamped images in dB: less visible to the right")
    axes.set_ylabel(f"infected model's {style.METRIC_NAMES['asr']}")
    if len(finite) < len(models):
        ticks = [tick for tick in axes.get_xticks() if min(finite, default=beyond) - 1 <= tick < beyond - 0.5]
        axes.set_xticks([*ticks, beyond], [*(f"{tick:g}" for tick in ticks), "∞"])
    style.legend(
        figure,
        [
            *([] if named else _keys(attacks)),
            style.key("hollow: did not take", color=style.FAINT, linestyle="none", marker="o", markerfacecolor="white"),
            *[style.key("ASR that counts as taken", color=style.FAINT, linestyle=(0, (5, 3)))] * bool(bounds),
        ],
    )
    counts = count_text(("asr", record.rate("asr", "infected")) for record in models)
    heading = f"ASR against visibility: {counted(len(models), 'infected model')}, test split"
    style.titles(figure, f"{heading}, {counts}" if counts else heading, _note(models))
    if named:
        label_marks(axes, marks)
    return figure


def _keys(attacks: Sequence[str]) -> list[Line2D]:
    return [style.key(name, linestyle="none", markersize=7, **style.attack_look(name, attacks)) for name in attacks]


def _psnr(record: TrialRecord) -> float | None:
    assert record.visibility is not None
    return None if record.visibility.psnr is None else record.visibility.psnr.value


def _note(models: Sequence[TrialRecord]) -> str:
    images = sorted({record.visibility.images for record in models if record.visibility is not None})
    return (
        f"Bars are 95% Wilson intervals. PSNR is the mean over {' or '.join(f'{n:,}' for n in images)} images of the "
        f"evaluation set, without those that a trigger leaves as they are; ∞: it changes none."
    )
