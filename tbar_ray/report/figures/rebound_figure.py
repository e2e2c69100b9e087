"""ASR and CA of cleaned models along clean fine-tuning, beside those of the infected and the clean model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tbar_ray.evaluation.rebound import ELIGIBLE
from tbar_ray.naming import counted
from tbar_ray.records.cells import count_text, grouped
from tbar_ray.records.record import TrialRecord
from tbar_ray.records.scores import ScoresRecord
from tbar_ray.report.columns import columns_of
from tbar_ray.report.figures import style
from tbar_ray.report.figures.comeback_figure import comeback_figure
from tbar_ray.report.rebound_rows import Followed, followed_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

TITLE = "Rebound under clean fine-tuning"
SHOWN = (("asr", "ASR"), ("ca", "CA"))
"""Scores, from the top row of panels down."""
BESIDE = 4
"""Attacks side by side, at most."""
LINEAR = 10
"""Steps up to which the axis is linear; logarithmic from there."""
MOST = 14
"""Models of one attack that are drawn as lines; of more, only where each begins and how high it gets."""
REPEATED = ("attack", "seed")
"""Axes that give a line no look of its own: attacks have panels, seeds are repetitions."""
Look = dict[str, Any]


def rebound_figure(records: Sequence[TrialRecord]) -> Figure:
    """Draw a column of two panels for each attack, ASR over CA, and a line for each model.

    Step 0′, statistics re-estimated and nothing trained, is a hollow mark at step 0. Lines of many models could not be
    told apart: of those, `comeback_figure` is drawn.
    """
    models = followed_of(records)
    if not models:
        return style.message_figure(TITLE, "Rebound has not been measured for any trial.")
    attacks = list(grouped(models, lambda model: (model.record.attack,)).items())
    looks = _looks(models)
    title, note = _title(models), _note(models, records)
    if max(_removed(members) for _, members in attacks) > MOST:
        return comeback_figure(models, {place: label for place, (label, _) in looks.items()}, title, note)
    rows, columns = style.wrapped(len(attacks), BESIDE)
    figure = style.new_figure(max(4.1 * columns + 2.6, 7.5), 5.6 * rows + 0.8)
    grid = figure.subplots(len(SHOWN) * rows, columns, squeeze=False, sharex=True)
    names, size = style.fitted([attack for (attack,), _ in attacks], 4.1)
    for place, (_, members) in enumerate(attacks):
        row, column = divmod(place, columns)
        for below, (metric, name) in enumerate(SHOWN):
            axes = grid[len(SHOWN) * row + below][column]
            _draw(axes, members, metric, looks)
            if column == 0:
                axes.set_ylabel(name)
        axes.set_xlabel(f"steps (logarithmic from {LINEAR})")
        style.panel_title(grid[len(SHOWN) * row][column], names[place], style.INK, size)
    for unused in range(len(attacks), rows * columns):
        for below in range(len(SHOWN)):
            grid[len(SHOWN) * (rows - 1) + below][unused % columns].set_visible(False)
    style.legend(figure, _entries(models, looks))
    style.titles(figure, title, note)
    return figure


def _removed(models: Sequence[Followed]) -> int:
    return sum(model.role == "removed" for model in models)


def _title(models: Sequence[Followed]) -> str:
    counts = count_text((metric, model.curve.points[0].scores.rate(metric)) for metric, _ in SHOWN for model in models)
    heading = f"{TITLE}: {counted(_removed(models), 'trial')}, test split"
    return f"{heading}, {counts}" if counts else heading


def _label(model: Followed, names: Mapping[str, Any]) -> str:
    return ", ".join(text(model.record) for text in names.values()) or "after removal"


def _looks(models: Sequence[Followed]) -> dict[int, tuple[str, Look]]:
    """Label and look of every model, by its place."""
    columns = columns_of([model.record for model in models], always=(), without=REPEATED)
    texts = {column.name: column.text for column in columns}
    labels = [_label(model, texts) for model in models if model.role == "removed"]
    references = {role: (colour, dashes) for role, colour, dashes in style.REFERENCES}
    found: dict[int, tuple[str, Look]] = {}
    for model in models:
        if model.role == "removed":
            label = _label(model, texts)
            found[id(model)] = label, {**style.attack_look(label, labels), "linestyle": "-", "linewidth": 1.4}
        else:
            colour, dashes = references[model.role]
            found[id(model)] = f"{model.role} model", {"color": colour, "linestyle": (0, dashes), "linewidth": 1.2}
    return found


def _draw(axes: Axes, models: Sequence[Followed], metric: str, looks: Mapping[int, tuple[str, Look]]) -> None:
    steps: set[int] = set()
    for model in models:
        _, look = looks[id(model)]
        points = [(point.step, _value(point.scores, metric)) for point in model.curve.points]
        steps |= {step for step, _ in points}
        axes.plot(*zip(*points, strict=True), **look, markersize=4)
        if model.curve.reestimated is not None:
            again = {**look, "marker": look.get("marker", "o"), "linestyle": "none", "markerfacecolor": "white"}
            axes.plot([0], [_value(model.curve.reestimated, metric)], **again, markersize=6.5, zorder=4, clip_on=False)
    if metric == "asr":
        axes.axhline(ELIGIBLE, color=style.FAINT, linewidth=0.8, linestyle=(0, (1, 2)), zorder=0)
    style.dress(axes)
    if metric == "asr":
        style.rare(axes, "y")
    else:
        style.percent(axes, "y")
    axes.set_xscale("symlog", linthresh=LINEAR, linscale=0.6)
    axes.set_xlim(-0.4, max(steps) * 1.06)
    axes.set_xticks(sorted(steps), [str(step) for step in sorted(steps)], fontsize=8)
    axes.minorticks_off()


def _value(scores: ScoresRecord, metric: str) -> float:
    value = scores.rate(metric).value
    return float("nan") if value is None else value


def _entries(models: Sequence[Followed], looks: Mapping[int, tuple[str, Look]]) -> list[Line2D]:
    """Trials first, then what they are compared with; each label once."""
    entries: dict[str, Line2D] = {}
    for model in sorted(models, key=lambda model: model.role != "removed"):
        label, look = looks[id(model)]
        entries.setdefault(label, style.key(label, **look, markersize=5))
    found = [style.heading("model"), *entries.values()]
    if any(model.curve.reestimated is not None for model in models):
        hollow: Look = {"marker": "o", "markersize": 6.5, "markerfacecolor": "white", "linestyle": "none"}
        found.append(style.key("step 0′: statistics", color=style.FAINT, **hollow))
    return found


def _note(models: Sequence[Followed], records: Sequence[TrialRecord]) -> str:
    rates = sorted({model.rates[0][0].learning_rate for model in models})
    parts = [
        f"Clean contrastive fine-tuning on pairs without the target, learning rate "
        f"{' and '.join(f'{rate:g}' for rate in rates)}. Dotted: ASR of {ELIGIBLE:.0%}, above which a backdoor was not "
        "removed to begin with.",
        style.RARE_NOTE,
    ]
    if any(model.curve.reestimated is not None for model in models):
        parts.append("Step 0′: running statistics re-estimated on the pairs, nothing trained.")
    return " ".join([*parts, style.trials_left_out(records)]).strip()
