"""The attacks of a campaign: every infected model beside the clean one, before any removal."""

from __future__ import annotations

from collections.abc import Sequence

from tbar_ray.planning.axes import ALIASES, percent
from tbar_ray.records.cells import grouped, value_of, varies, varying
from tbar_ray.records.record import TrialRecord
from tbar_ray.records.scores import Role
from tbar_ray.report.columns import heads, joined, values
from tbar_ray.report.infected import is_of_model, model_of
from tbar_ray.report.text import Markdown, bold, rate, share, table

ROLES: tuple[Role, ...] = ("infected", "clean")
OPTIONAL = ("task", "planting", "merge")
MOVED = ("relative_l2", "participation")


def attack_table(records: Sequence[TrialRecord]) -> Markdown:
    """The table of attacks, one row per infected model; '' without records.

    Task, planting, merge, top-5 CA, how far the weights were moved and further axes of the infected model have
    columns only where they vary.
    """
    groups = list(grouped(records, model_of).values())
    known = [next((r for r in group if r.value("ca", "infected") is not None), group[0]) for group in groups]
    if not known:
        return Markdown()
    extra = [name for name in OPTIONAL if varies(known, name)]
    merged = any(r.before_merge is not None for r in known)
    top5 = len({r.value("ca_top5", role) for r in known for role in ROLES}) > 1
    moved = len({_moved(r, "relative_l2") for r in known}) > 1
    seeds = [ALIASES["seed"].factor.label] if varies(known, "seed") else []
    further = [f for f in varying(known, ("attack", "poisoning_rate", "seed")) if is_of_model(f.name)]
    axes = joined(further)
    head = ["attack", "trigger", "target", *extra, ALIASES["poisoning_rate"].factor.label, *seeds, *heads(axes)]
    head += ["outcome", *["CA before merge", "ASR before merge"] * merged]
    for role in ROLES:
        head += [f"{role} CA", *[f"{role} CA top-5"] * top5, f"{role} ASR", f"{role} ASR, all images"]
    head += ["weights moved", "by share of weights"] * moved
    rows = []
    for group, record in zip(groups, known, strict=True):
        row = [record.attack, record.trigger, record.target]
        row += [str(value_of(record, name) or "–") for name in extra]
        row += [percent(record.setting("poisoning_rate")), *[str(record.seed)] * len(seeds), *values(record, axes)]
        row.append(_outcome(group))
        if merged:
            row += [rate(record.rate(metric, "before_merge")) for metric in ("ca", "asr")]
        for role in ROLES:
            row += [rate(record.rate("ca", role)), *[share(record.value("ca_top5", role))] * top5]
            row += [rate(record.rate("asr", role)), share(record.value("asr_all_images", role))]
        if moved:
            row += [share(_moved(record, name)) for name in MOVED]
        rows.append(row)
    return Markdown(f"{table(head, rows)}\n\n{_note(moved)}")


def _outcome(group: Sequence[TrialRecord]) -> str:
    """Say whether an attack took: some trial passed the gate, or why its own trials did not."""
    if any(r.status != "failed" for r in group):
        return "took"
    own = [r for r in group if not r.transferred]
    if not own:
        return "unknown"  # what failed may be the attack that the vector comes from
    return bold((own[0].reason or "failed").partition(":")[0])


def _moved(record: TrialRecord, name: str) -> float | None:
    if record.weight_change is None:
        return None
    value: float = getattr(record.weight_change, name)
    return value


def _note(moved: bool) -> str:
    note = (
        "Scores are of the test split; whether an attack took was decided on validation images. ASR is over triggered "
        "images of the other classes, 'all images' over those of the target's class too."
    )
    if moved:
        note += (
            " Weights moved: Euclidean norm of the attacker's change over that of the clean weights; by share of "
            "weights: the effective share that carries the change."
        )
    return note
