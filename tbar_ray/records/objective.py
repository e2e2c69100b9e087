"""What a sampler is told of a trial: its objective values, from its record."""

from __future__ import annotations

from tbar_ray.records.record import TrialRecord


def objective_values(record: TrialRecord, min_retention: float) -> dict[str, float]:
    """Objective values for a sampler, from validation scores only; empty for a trial that has none.

    The attacker's is known of every infected model that was scored, also where the attack did not take: its ASR, with a
    penalty where it costs too much CA. The defender's are known of trials with a result: penalised ASR, CA, ASR and PA.
    Of a path, the selected α counts; where no α is feasible, the one that retains most CA. `ca_missing` and
    `infected_ca_missing` are above 0 where a side keeps less CA than it has to.
    """
    from tbar_ray.evaluation.selection import attackers_asr, missing_retention, penalised_asr

    values = {}
    if (gate := record.gate) is not None:
        values["infected_asr"] = attackers_asr(gate.asr, gate.ca_drop, gate.max_ca_drop)
        values["infected_ca_missing"] = gate.ca_drop - gate.max_ca_drop
    if record.status == "failed":
        return values
    point = record.selected_point or max(record.path, key=lambda point: point.ca)
    assert record.reference_ca is not None
    return values | {
        "penalised_asr": penalised_asr(point.ca, point.asr, record.reference_ca, min_retention),
        "ca_missing": missing_retention(point.ca, record.reference_ca, min_retention),
        "ca": point.ca,
        "asr": point.asr,
        "pa": point.pa,
    }
