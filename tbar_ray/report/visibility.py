"""Attacks by how visible they are: a row per attack, with the budget that served the attacker best."""

from __future__ import annotations

from collections.abc import Sequence

from tbar_ray.evaluation.selection import attackers_asr
from tbar_ray.records.cells import grouped, varying
from tbar_ray.records.measures import MeanRecord, VisibilityRecord
from tbar_ray.records.record import TrialRecord
from tbar_ray.report.infected import is_of_model, model_of
from tbar_ray.report.text import Markdown, bold, rate, section, table

TITLE = "Attacks and their visibility"
NOTE = (
    "One row per attack: of its infected models, the one with most ASR on validation among those that cost little "
    "enough CA. Scores are of the test split. PSNR and SSIM compare clean images with the same stamped, rounded to 256 "
    "levels, at the model's resolution: higher is less visible. Brackets are 95% intervals over images. ∞: no image is "
    "changed."
)


def models_seen(records: Sequence[TrialRecord]) -> list[TrialRecord]:
    """A record for each infected model whose ASR and whose trigger's visibility are known, in the order given."""
    known = [r for r in records if r.visibility is not None and r.value("asr", "infected") is not None]
    return [group[0] for group in grouped(known, model_of).values()]


def visibility_table(records: Sequence[TrialRecord]) -> Markdown:
    """The section on attacks by visibility; '' where it was not measured."""
    models = models_seen(records)
    budget = [f for f in varying(models) if is_of_model(f.name)]
    several = bool(budget)
    head = ["attack", *["infected models", "of these took"] * several, "PSNR in dB", "SSIM", "infected ASR"]
    head += ["CA lost, in points", "outcome", *["budget"] * several]
    rows = []
    for own in grouped(models, lambda r: (r.attack,)).values():
        best = max(own, key=_preference)
        row = [best.attack, *[str(len(own)), str(sum(r.took for r in own))] * several]
        row += [_psnr(best.visibility), _ssim(best.visibility), rate(best.rate("asr", "infected")), _lost(best)]
        row.append("took" if best.took else bold("did not take"))
        row += [", ".join(f.told(best.setting(f.name)) for f in budget if f.name in best.settings)] * several
        rows.append(row)
    return section(TITLE, NOTE, table(head, rows)) if rows else Markdown()


def _preference(record: TrialRecord) -> float:
    """What the attacker prefers, on validation; test where a record has no gate."""
    gate = record.gate
    if gate is None:
        return record.value("asr", "infected") or 0.0
    return attackers_asr(gate.asr, gate.ca_drop, gate.max_ca_drop)


def _psnr(seen: VisibilityRecord | None) -> str:
    if seen is None:
        return "–"
    return "∞" if seen.psnr is None else _mean(seen.psnr, 1)


def _ssim(seen: VisibilityRecord | None) -> str:
    return "–" if seen is None else _mean(seen.ssim, 3)


def _mean(mean: MeanRecord, decimals: int) -> str:
    value = f"{mean.value:.{decimals}f}"
    if mean.low is None or mean.high is None:
        return value
    return f"{value} [{mean.low:.{decimals}f}, {mean.high:.{decimals}f}]"


def _lost(record: TrialRecord) -> str:
    before, after = record.value("ca", "clean"), record.value("ca", "infected")
    return "–" if before is None or after is None else f"{(before - after) * 100:.1f}"
