"""Names of trials, for people: in MLflow, and to choose one by."""

from __future__ import annotations

from collections.abc import Sequence

from tbar_ray.errors import SpecError
from tbar_ray.planning.axes import factors_of
from tbar_ray.records.cells import preference
from tbar_ray.records.record import TrialRecord

LEAST = 4
"""Characters of a fingerprint that suffice to name a trial."""
SHOWN = 12
"""Trials that an error lists."""


def run_name(record: TrialRecord) -> str:
    """What tells a trial's run from others: attack, method, every other axis; α where it is the only one."""
    names = [record.attack if not record.transferred else f"{record.attack} ← {record.source}", record.method]
    for name, factor in factors_of(record.settings).items():
        if name not in ("attack", "source", "method") and record.settings[name] is not None:
            names.append(factor.told(record.settings[name]))
    if len(record.alphas) == 1:
        names.append(f"α {record.alphas[0]:g}")
    return ", ".join(names)


def find_trial(records: Sequence[TrialRecord], named: str) -> TrialRecord:
    """The trial that a person means.

    Args:
        records: of a campaign.
        named: its fingerprint (the beginning suffices), its name, or parts of that with commas: `badnets, forget set
            300`.

    Raises:
        SpecError: if no trial or several are meant; the message lists them.
    """
    wanted = [part.strip() for part in named.split(",") if part.strip()]
    found = [record for record in records if run_name(record) == named]
    if not found and len(named) >= LEAST:
        found = [record for record in records if record.fingerprint.startswith(named)]
    if not found and wanted:
        found = [record for record in records if set(wanted) <= set(run_name(record).split(", "))]
    if len(found) == 1:
        return found[0]
    listed = found or records
    lines = "; ".join(f"{record.fingerprint[:8]} {run_name(record)}" for record in listed[:SHOWN])
    more = f"; and {len(listed) - SHOWN} more" if len(listed) > SHOWN else ""
    what = f"{len(found)} trials are meant by {named!r}" if found else f"no trial {named!r}"
    raise SpecError(f"{what}; give a fingerprint or more of a name: {lines}{more}")


def best_trial(records: Sequence[TrialRecord]) -> TrialRecord:
    """The trial with the best validation scores: feasible, then least ASR, then most CA.

    Raises:
        SpecError: if none has selected an α.
    """
    usable = [record for record in records if record.alpha is not None]
    if not usable:
        raise SpecError("no trial of this campaign has selected an α yet; run it first")
    return min(usable, key=preference)
