"""The readable summary of a campaign."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tbar_ray.campaign.figures.cells import CELL, cell_of, count_text, counted, grouped, one_per_cell
from tbar_ray.campaign.report import measures, statistics
from tbar_ray.campaign.report.effects import effect_sentences
from tbar_ray.campaign.report.text import Record, bullets, rate, table
from tbar_ray.campaign.spec import CampaignSpec
from tbar_ray.campaign.store import Store

FIGURES: Mapping[str, str] = {
    "attacks.png": "ASR, CA and PA of every attack before and after removal",
    "alpha.png": "CA, ASR and PA along α on validation",
    "tradeoff.png": "CA against ASR",
    "ablation.png": "test ASR and CA against forget-set size and clean fraction",
    "transfer.png": "trigger vectors of one model applied to another",
    "disentanglement.png": "the weight disentanglement error ξ",
    "contact_sheet.png": "poisoned training pairs of each attack",
}
"""What each figure shows, in the report's order."""


def summary(spec: CampaignSpec, records: Sequence[Record], store: Store, figures: Sequence[str]) -> str:
    """Return the report as Markdown, with links to those `figures` that were drawn."""
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
        statistics.across_seeds(records),
        statistics.paired_tests(records, store),
        *_effects(chosen, "forget_size", "What forget-set size does"),
        *_effects(chosen, "clean_fraction", "What mixing in clean data does"),
        measures.sensitivity(records),
        measures.transfer(records),
        measures.other_backdoors(records),
        measures.disentanglement(records),
        measures.retrieval(records),
        "## Failed and infeasible trials",
        _without_result(records),
        "## Figures",
        "\n\n".join(f"![{text}]({name})" for name, text in FIGURES.items() if name in figures),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _effects(chosen: Sequence[Record], factor: str, title: str) -> list[str]:
    """Return the section on a factor, where it varies."""
    if len({r.get(factor) for r in chosen}) < 2:
        return []
    return [f"## {title}", bullets(effect_sentences(chosen, factor))]


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
    return bullets(
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
    groups = grouped(records, lambda r: (r["attack"], r.get("poisoning_rate"), r["seed"]))
    known = [next((r for r in group if r.get("ca_infected") is not None), group[0]) for group in groups.values()]
    extra = [name for name in ("task", "planting", "merge") if len({r.get(name) for r in known}) > 1]
    scores = [(metric, role) for role in ("infected", "clean") for metric in ("ca", "ca_top5", "asr", "asr_all_images")]
    rows = []
    for record in known:
        share = record.get("poisoning_rate")
        moved = (record.get("weight_change") or {}).get("relative_l2")
        rows.append(
            [
                record["attack"],
                str(record.get("trigger")),
                str(record.get("target")),
                *(str(record.get(name) or "–") for name in extra),
                "–" if share is None else f"{share * 100:.3g}%",
                str(record["seed"]),
                *(rate(record, f"{metric}_{role}") for metric, role in scores),
                "–" if moved is None else f"{moved:.1%}",
            ]
        )
    names = {"ca": "CA", "ca_top5": "CA top-5", "asr": "ASR", "asr_all_images": "ASR, all images"}
    head = ["attack", "trigger", "target", *extra, "poisoned", "seed"]
    head += [f"{role} {names[metric]}" for metric, role in scores]
    note = (
        "ASR counts images of the other classes; 'all images' counts the target's too. Weights moved: the Euclidean "
        "norm of the attacker's change over that of the clean weights."
    )
    return f"{table([*head, 'weights moved'], rows)}\n\n{note}" if rows else ""


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
        row += [rate(r, metric) for metric in ("ca", "asr", "pa")]
        rows.append([*row, "–" if retention is None else f"{retention:.1%}", r["status"]])
    return table(head, rows)


def _without_result(records: Sequence[Record]) -> str:
    gone = [r for r in records if r["status"] != "done"]
    if not gone:
        return "None."
    return bullets(f"{r['status']}: {_name(r)}: {r.get('reason') or 'no reason recorded'}" for r in gone)


def _name(record: Record) -> str:
    values = dict(zip(CELL, cell_of(record), strict=True))
    return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in values.items() if value is not None)
