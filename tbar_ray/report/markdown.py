"""The readable summary of a campaign."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tbar_ray.naming import counted
from tbar_ray.planning.axes import ALIASES
from tbar_ray.planning.methods import used_methods
from tbar_ray.records.cells import one_per_cell, varying
from tbar_ray.records.record import TrialRecord
from tbar_ray.redaction import redact
from tbar_ray.report.attacks import attack_table
from tbar_ray.report.backdoors import other_backdoors
from tbar_ray.report.disentanglement_table import disentanglement
from tbar_ray.report.downstream import downstream
from tbar_ray.report.effects import effect_sentences
from tbar_ray.report.growth_table import growth
from tbar_ray.report.inversion import inversion
from tbar_ray.report.losses import losses_section
from tbar_ray.report.methods import methods_table
from tbar_ray.report.paired import paired_tests
from tbar_ray.report.rebound import rebound
from tbar_ray.report.results import reading, result_rows, without_result
from tbar_ray.report.retrieval import retrieval
from tbar_ray.report.seeds import across_seeds
from tbar_ray.report.text import Markdown, bullets, code, escape, paragraphs, section
from tbar_ray.report.transfer import transfer
from tbar_ray.report.visibility import visibility_table
from tbar_ray.spec.campaign import CampaignSpec
from tbar_ray.spec.data import WeightedShards
from tbar_ray.spec.search import AxisRange
from tbar_ray.store.store import Store

FIGURES: Mapping[str, str] = {
    "methods.png": "ASR and CA of every method",
    "attacks.png": "ASR, CA and PA of every attack before and after removal",
    "visibility.png": "ASR of infected models against PSNR",
    "alpha.png": "CA, ASR and PA along α on validation",
    "tradeoff.png": "CA against ASR",
    "ablation.png": "test ASR and CA against each axis that varies",
    "transfer.png": "trigger vectors of one model applied to another",
    "rebound.png": "what clean fine-tuning brings back after removal",
    "disentanglement.png": "the weight disentanglement error ξ",
    "growth.png": "CA kept against the samples seen in pretraining",
    "growth_geometry.png": "ξ and the trigger's geometry against the samples seen in pretraining",
    "contact_sheet.png": "poisoned training pairs of each attack",
}
"""What each figure shows, in the report's order."""
ROWS = "(results)"
"""The place of the table of results, which a page draws in its own way."""
NO_EFFECT = ("attack", "source", "method", "seed")
"""Axes without a section: they have their own tables, or are repetitions."""
EFFECTS: Mapping[str, str] = {
    "forget_size": "What forget-set size does",
    "clean_fraction": "What mixing in clean data does",
}
"""Titles of sections on an axis; others are named after its label."""


def summary(spec: CampaignSpec, records: Sequence[TrialRecord], store: Store, figures: Sequence[str]) -> str:
    """The report as Markdown, with links to those `figures` that were drawn."""
    return composed(spec, records, sections(spec, records, store), figures)


def composed(
    spec: CampaignSpec, records: Sequence[TrialRecord], parts: Sequence[Markdown | str], figures: Sequence[str]
) -> str:
    """The report of its `sections`."""
    parts = [
        f"# {escape(spec.name)}",
        paragraphs(spec.description),
        *(result_rows(records) if part is ROWS else part for part in parts),
        "## Figures",
        "\n\n".join(f"![{text}]({name})" for name, text in FIGURES.items() if name in figures),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def sections(spec: CampaignSpec, records: Sequence[TrialRecord], store: Store) -> list[str]:
    """The sections of a report between its title and its figures, with `ROWS` in the place of the table of results."""
    parts = [
        _counts(records),
        "## What was run",
        _setting(spec),
        attack_table(records),
        methods_table(records, spec.evaluation.max_asr),
        losses_section(records),
        visibility_table(records),
        "## Results on the test split",
        reading(spec, records),
        ROWS,
        across_seeds(records),
        paired_tests(records, store),
        *_effects(records),
        transfer(records),
        other_backdoors(records),
        inversion(records),
        rebound(records),
        downstream(records),
        disentanglement(records),
        growth(records, spec.evaluation.max_asr),
        retrieval(records),
        "## Failed, infeasible and given-up trials",
        without_result(records),
    ]
    return [part for part in parts if part]


def _defender(spec: CampaignSpec) -> str:
    defender = spec.defender
    sizes = "forget sets" if "forget.size" in _varied(spec) else f"forget sets of {spec.forget.size:,} images"
    parts = [f"knows {' and '.join(defender.knows) or 'nothing'}", sizes]
    parts += [f"{defender.clean_pairs:,} clean pairs"] * bool(defender.clean_pairs)
    parts += [f"{defender.training_pairs:,} suspicious training pairs"] * bool(defender.training_pairs)
    return ", ".join(parts)


def _varied(spec: CampaignSpec) -> set[str]:
    """Paths of the fields that axes replace."""
    return {path for name in spec.search.axes for path in (ALIASES[name].paths if name in ALIASES else (name,))}


def _axis(name: str, axis: list[Any] | AxisRange) -> str:
    """An axis with its values or its range."""
    if isinstance(axis, AxisRange):
        return f"{name} ({axis.low:g} to {axis.high:g})"
    return f"{name} ({', '.join(map(str, axis))})"


def _effects(records: Sequence[TrialRecord]) -> list[Markdown]:
    """A section on each axis of which the trials that have it have several values."""
    chosen = one_per_cell(records)
    factors = [
        factor
        for factor in varying(chosen, NO_EFFECT)
        if len({r.settings[factor.name] for r in chosen if factor.name in r.settings}) > 1
    ]
    return [
        section(EFFECTS.get(factor.name, f"What {factor.title} does"), bullets(effect_sentences(chosen, factor)))
        for factor in factors
    ]


def _counts(records: Sequence[TrialRecord]) -> str:
    states = [r.status for r in records]
    parts = [
        f"{states.count(state)} {state}" for state in ("done", "infeasible", "dominated", "failed") if state in states
    ]
    return f"{counted(len(records), 'trial')}: {', '.join(parts)}." if records else "No trial has ended yet."


def _setting(spec: CampaignSpec) -> Markdown:
    data, model = spec.data, spec.model
    if data.synthetic is not None:
        source = f"synthetic scenes, {data.synthetic.samples:,} training pairs of {data.synthetic.size} px"
    else:
        trains = data.train if isinstance(data.train, list) else [WeightedShards(url=data.train or "")]
        shards = ", ".join(code(redact(t.url)) + (f" (weight {t.weight:g})" if t.weight != 1 else "") for t in trains)
        source = f"{shards}, evaluated on {code(redact(str(data.evaluation)))}"
    given = [f"pretrained {code(redact(model.pretrained))}"] if model.pretrained else []
    own = "the training data"
    if model.synthetic is not None:
        own = f"{model.synthetic.samples:,} drawn pairs of its own"
    origin = ", ".join([*given, *([f"trained on {own}"] if model.training else [])])
    amount = (
        f"{spec.poison.rate * 100:.3g}% of the pairs" if spec.poison.rate is not None else f"{spec.poison.count} pairs"
    )
    varied = _varied(spec)
    if varied & {"poison.rate", "poison.count"}:
        amount = "a number of pairs that varies"
    epochs = [] if "poison.training.epochs" in varied else [counted(spec.poison.training.epochs, "epoch")]
    seed = "" if "seed" in varied else f"; seed {spec.seed}"
    axes = "; ".join(_axis(name, axis) for name, axis in spec.search.axes.items()) or "none"
    more = [f"tasks: {', '.join(spec.tasks)}"] if spec.tasks else []
    if (grid := spec.disentanglement) is not None:
        more.append(f"disentanglement: {grid.points} × {grid.points} points over [{grid.low:g}, {grid.high:g}]²")
    if (follow := spec.evaluation.rebound) is not None:
        rates = " and ".join(f"{options.learning_rate:g}" for options in follow.at_each_rate())
        of = f"{follow.batch_size} of at most {follow.pairs:,} clean pairs"
        more.append(f"rebound: {follow.steps} steps of {of}, lr {rates}")
    return bullets(
        [
            Markdown(f"model: {escape(spec.model.architecture)}, {origin}"),
            Markdown(f"data: {source}"),
            f"poison: {', '.join([amount, *epochs])}",
            f"unlearning: {', '.join(used_methods(spec))}{seed}",
            f"defender: {_defender(spec)}",
            f"search: {spec.search.sampler} over {axes}",
            *more,
        ]
    )
