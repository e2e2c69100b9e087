"""The readable summary of a campaign."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from tbar_ray.campaign.figures.cells import CELL, cell_of, count_text, counted, grouped, one_per_cell
from tbar_ray.campaign.report.effects import effect_sentences
from tbar_ray.campaign.spec import CampaignSpec

Record = dict[str, Any]
FIGURES = (
    ("alpha.png", "CA, ASR and PA along α on validation"),
    ("tradeoff.png", "CA against ASR"),
    ("ablation.png", "test ASR and CA against forget-set size and clean fraction"),
    ("contact_sheet.png", "poisoned training pairs of each attack"),
)


def summary(spec: CampaignSpec, records: Sequence[Record]) -> str:
    """Return the report as Markdown."""
    chosen = one_per_cell(records)
    parts = [
        f"# {spec.name}",
        spec.description.strip(),
        _counts(records),
        "## What was run",
        _setting(spec),
        _attacks(records),
        "## Results on the test split",
        _reading(spec, records),
        _results(records),
        "## What forget-set size does",
        _bullets(effect_sentences(chosen, "forget_size")),
        "## What mixing in clean data does",
        _bullets(effect_sentences(chosen, "clean_fraction")),
        "## Failed and infeasible trials",
        _without_result(records),
        "## Figures",
        "\n\n".join(f"![{text}]({name})" for name, text in FIGURES),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _reading(spec: CampaignSpec, records: Sequence[Record]) -> str:
    """Say how the table of results is to be read."""
    counts = count_text(records, ("ca", "asr", "pa"))
    wanted = spec.evaluation.max_asr
    rule = "least ASR" if wanted is None else f"most CA at an ASR of at most {wanted:.0%} (else least ASR)"
    return (
        f"α is selected on the validation split: {rule} among those that retain "
        f"{spec.evaluation.min_retention:.0%} of the infected model's CA. Brackets are 95% Wilson intervals; "
        f"retention is CA over the infected model's CA.{f' {counts}.' if counts else ''}"
    )


def _counts(records: Sequence[Record]) -> str:
    states = [r["status"] for r in records]
    parts = [f"{states.count(state)} {state}" for state in ("done", "infeasible", "failed") if state in states]
    return f"{counted(len(records), 'trial')}: {', '.join(parts)}." if records else "No trial has ended yet."


def _setting(spec: CampaignSpec) -> str:
    data, model = spec.data, spec.model
    if data.synthetic is not None:
        source = f"synthetic scenes, {data.synthetic.samples:,} training pairs of {data.synthetic.size} px"
    else:
        source = f"`{data.train}`, evaluated on `{data.evaluation}`"
    origin = f"pretrained `{model.pretrained}`" if model.pretrained else "trained on the training data"
    amount = (
        f"{spec.poison.rate * 100:.3g}% of the pairs" if spec.poison.rate is not None else f"{spec.poison.count} pairs"
    )
    axes = ", ".join(spec.search.axes) or "none"
    return _bullets(
        [
            f"model: {spec.model.architecture}, {origin}",
            f"data: {source}",
            f"poison: {amount}, {spec.poison.training.epochs} epochs",
            f"unlearning: {spec.unlearning.method}; seed {spec.seed}",
            f"search: {spec.search.sampler} over {axes}",
        ]
    )


def _attacks(records: Sequence[Record]) -> str:
    """Return the table of attacks: each infected model beside the clean one, before any removal."""
    rows = []
    groups = grouped(records, lambda r: (r["attack"], r.get("poisoning_rate"), r["seed"]))
    for (attack, rate, seed), group in groups.items():
        known = next((r for r in group if r.get("ca_infected") is not None), group[0])
        scores = [_rate(known, f"{metric}_{role}") for role in ("infected", "clean") for metric in ("ca", "asr")]
        share = "–" if rate is None else f"{rate * 100:.3g}%"
        rows.append([attack, str(known.get("trigger")), str(known.get("target")), share, str(seed), *scores])
    head = [
        "attack",
        "trigger",
        "target",
        "poisoned",
        "seed",
        "infected CA",
        "infected ASR",
        "clean CA",
        "clean ASR",
    ]
    return _table(head, rows) if rows else ""


def _varying(records: Sequence[Record]) -> list[str]:
    """Return the factors beyond the usual ones that tell these trials apart."""
    usual = ("attack", "forget_size", "clean_fraction")
    return [name for name in CELL if name not in usual and len({r.get(name) for r in records}) > 1]


def _results(records: Sequence[Record]) -> str:
    if not records:
        return "None yet."
    extra = _varying(records)
    head = ["attack", "forget set", "clean", *(name.replace("_", " ") for name in extra)]
    head += ["α", "CA", "ASR", "PA", "retention", "status"]
    rows = []
    for r in records:
        alpha, retention = r.get("alpha"), r.get("ca_retention")
        row = [r["attack"], f"{r['forget_size']:,}", f"{r['clean_fraction']:.0%}"]
        row += ["–" if r.get(name) is None else str(r[name]) for name in extra]
        row.append("–" if alpha is None else f"{alpha:.3g}")
        row += [_rate(r, metric) for metric in ("ca", "asr", "pa")]
        rows.append([*row, "–" if retention is None else f"{retention:.1%}", r["status"]])
    return _table(head, rows)


def _without_result(records: Sequence[Record]) -> str:
    gone = [r for r in records if r["status"] != "done"]
    if not gone:
        return "None."
    return _bullets(f"{r['status']}: {_name(r)}: {r.get('reason') or 'no reason recorded'}" for r in gone)


def _name(record: Record) -> str:
    names = ("attack", "method", "forget_size", "clean_fraction", "poisoning_rate", "seed", "learning_rate")
    values = dict(zip(names, cell_of(record), strict=True))
    return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in values.items() if value is not None)


def _rate(row: Record, metric: str) -> str:
    value, low, high = (row.get(f"{metric}{end}") for end in ("", "_low", "_high"))
    if value is None:
        return "–"
    if low is None or high is None:
        return f"{value:.1%}"
    return f"{value:.1%} [{low * 100:.1f}, {high * 100:.1f}]"


def _bullets(lines: Iterable[str]) -> str:
    return "\n".join(f"- {' '.join(line.split())}" for line in lines)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    def line(cells: Sequence[str]) -> str:
        return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"

    return "\n".join([line(head), line(["---"] * len(head)), *(line(row) for row in rows)])
