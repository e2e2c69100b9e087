"""Trial records: what a trial found, as one flat row and its path, kept in the store."""

from __future__ import annotations

import json
from math import isfinite, nan
from typing import Any

from tbar_ray.planning.graph import TrialGraph
from tbar_ray.planning.trial import Trial
from tbar_ray.spec.campaign import CampaignSpec
from tbar_ray.stages.alpha_path import PATH
from tbar_ray.stages.evaluate import SCORES, Evaluate
from tbar_ray.stages.measure_disentanglement import MAP
from tbar_ray.stages.node import Stage, stages_in_order
from tbar_ray.store.store import Store

METRICS = ("ca", "ca_top5", "asr", "asr_all_images", "pa")
RETRIEVAL = (
    *(f"{way}_at_{k}" for way in ("image_to_text", "text_to_image") for k in (1, 5, 10)),
    "caption_asr",
    "caption_asr_untriggered",
)
"""Scores of a retrieval set, where the campaign has one."""
Record = dict[str, Any]


def trial_key(graph: TrialGraph) -> str:
    """Return a trial's fingerprint: that of its last stage."""
    return graph.path.fingerprint


def _flat(scores: dict[str, Any] | None, suffix: str = "", metrics: tuple[str, ...] = METRICS) -> Record:
    """Return value, n and interval of every metric under flat names; None where there are no scores."""
    row: Record = {}
    for metric in metrics:
        rate = scores[metric] if scores else {}
        row[f"{metric}{suffix}"] = rate.get("value")
        row[f"{metric}{suffix}_low"] = rate.get("low")
        row[f"{metric}{suffix}_high"] = rate.get("high")
        row[f"{metric}{suffix}_n"] = rate.get("n")
    return row


def _identity(spec: CampaignSpec, trial: Trial, graph: TrialGraph) -> Record:
    attack = spec.attacks[trial.attack]
    return {
        **trial.cell,
        "parameters": trial.parameters_text,
        "searched": [list(pair) for pair in trial.parameters],
        "trigger": attack.trigger,
        "target": attack.target,
        "task": attack.task,
        "planting": attack.planting.method,
        "merge": attack.merge.method if attack.merge else None,
        "fingerprint": trial_key(graph),
        "alphas": list(trial.alphas),
    }


def failed_record(spec: CampaignSpec, trial: Trial, graph: TrialGraph, reason: str, store: Store) -> Record:
    """Return the record of a trial that ended without a result; scores known before the failure are kept."""
    record = {
        **_identity(spec, trial, graph),
        "status": "failed",
        "reason": reason,
        "path": [],
        "split": "test",
    }
    for role, stage in (("infected", graph.infected), ("clean", graph.clean)):
        if store.has(stage.artifact):
            record.update(_flat(_scores(store, stage)["test"], f"_{role}"))
    if store.has(graph.plain.artifact):
        record.update(_before_merge(store, graph))
    return record


def finished_record(spec: CampaignSpec, trial: Trial, graph: TrialGraph, store: Store) -> Record:
    """Return the record of a trial whose stages are all in the store."""
    path = json.loads((store.fetch(graph.path.artifact) / PATH).read_text())
    clean, infected = (_scores(store, stage) for stage in (graph.clean, graph.infected))
    test = path["test"]
    feasible = path["feasible"]
    reason = None
    if path["dominated"]:
        reason = f"no α that retains enough CA comes below the ASR of an earlier trial, {trial.to_beat:.1%}"
    elif not feasible:
        best = max(point["ca"]["value"] for point in path["path"])
        reason = (
            f"no α retains {spec.evaluation.min_retention:.0%} of the infected model's validation CA "
            f"{path['reference_ca']:.1%}; the best has {best:.1%}"
        )
    facts = [store.facts(stage.artifact) for stage in stages_in_order([graph.path])]
    points = [_point(point, path["reference_ca"]) for point in path["path"]]
    return {
        **_identity(spec, trial, graph),
        "status": "done" if feasible else "dominated" if path["dominated"] else "infeasible",
        "reason": reason,
        "split": "test",
        "alpha": path["selected"],
        **_flat(test),
        **_flat(infected["test"], "_infected"),
        **_flat(clean["test"], "_clean"),
        **_retrieval(path, infected, clean),
        **_before_merge(store, graph),
        "ca_retention": _retention(test, infected["test"]),
        "ca_retention_clean": _retention(test, clean["test"]),
        "alpha_sensitivity": _sensitivity(points, path),
        "weight_change": store.facts(graph.model.artifact)["facts"]["weight_change"],
        "found": store.facts(graph.path.unlearn.artifact)["facts"]["method"],
        "others": _others(store, graph, path),
        "disentanglement": _disentanglement(store, graph, path["selected"]),
        "cost": _cost(store, graph),
        "seconds": sum(f["seconds"] for f in facts if f["kind"] in ("vector", "path")),
        "skipped_samples": sum(f["facts"].get("skipped", 0) for f in facts),
        "reference_ca": path["reference_ca"],
        "path": points,
        "path_falls": path["monotone"],
    }


def _scores(store: Store, stage: Evaluate) -> dict[str, Any]:
    scores: dict[str, Any] = json.loads((store.fetch(stage.artifact) / SCORES).read_text())
    return scores


def _retrieval(path: Record, infected: Record, clean: Record) -> Record:
    """Return the scores of the retrieval set, for a campaign that has one."""
    if "retrieval" not in clean:
        return {}
    return {
        **_flat(path.get("retrieval"), metrics=RETRIEVAL),
        **_flat(infected["retrieval"], "_infected", RETRIEVAL),
        **_flat(clean["retrieval"], "_clean", RETRIEVAL),
    }


def _before_merge(store: Store, graph: TrialGraph) -> Record:
    """Return CA and ASR of the model that the attacker handed out, where the victim merged it."""
    if graph.plain == graph.infected:
        return {}
    return _flat(_scores(store, graph.plain)["test"], "_before_merge", ("ca", "asr"))


def _cost(store: Store, graph: TrialGraph) -> Record:
    """Return what unlearning took: images held and seen, steps, seconds, and bytes beyond the model itself."""
    facts = store.facts(graph.path.unlearn.artifact)["facts"]
    training = facts["training"]
    return {
        "data": sum(facts["data"].values()),
        "forget_images": facts["data"].get("forget", 0),
        "clean_pairs": facts["data"].get("clean", 0),
        "training_pairs": facts["data"].get("training", 0),
        **{name: training[name] for name in ("samples", "steps", "seconds")},
        "peak_memory": facts["peak_memory"],
    }


def _sensitivity(points: list[Record], path: Record) -> Record | None:
    """Return the range of α in which the backdoor is gone and CA kept; None for one α, and after a bisection."""
    from tbar_ray.evaluation.selection import AlphaPoint
    from tbar_ray.evaluation.sensitivity import alpha_sensitivity

    if len(points) < 2 or path["monotone"]:  # a bisection has seen too few α to say
        return None
    curve = [AlphaPoint(p["alpha"], p["ca"], p["asr"]) for p in sorted(points, key=lambda p: float(p["alpha"]))]
    return alpha_sensitivity(curve, path["reference_ca"], path["selected"]).to_dict()


def _others(store: Store, graph: TrialGraph, path: Record) -> dict[str, Record]:
    """Return the ASR of the model's other backdoors before and after this one's removal, by attack."""
    found = {}
    for stage in graph.path.others:
        fingerprint = stage.backdoor.fingerprint
        after = path.get("others", {}).get(fingerprint)
        before = _scores(store, stage)["test"]["asr"]["value"]
        found[graph.others[fingerprint]] = {
            "asr_infected": before,
            "asr": after["asr"]["value"] if after else None,
        }
    return found


def _disentanglement(store: Store, graph: TrialGraph, alpha: float | None) -> Record | None:
    """Return the map, and ξ where it is read: (1, 1), and (1, −α) where the grid reaches it."""
    from tbar_ray.evaluation.disentanglement_map import DisentanglementMap

    if graph.map is None:
        return None
    content: Record = json.loads((store.fetch(graph.map.artifact) / MAP).read_text())
    whole = DisentanglementMap.from_dict(content)

    def at(alpha_t: float) -> float | None:
        inside = whole.alphas_c[0] <= 1 <= whole.alphas_c[-1] and whole.alphas_t[0] <= alpha_t <= whole.alphas_t[-1]
        value = whole.at(1, alpha_t) if inside else nan
        return value if isfinite(value) else None

    return {**content, "at_planted": at(1), "at_negated": None if alpha is None else at(-alpha), "alpha": alpha}


def _retention(scores: dict[str, Any] | None, reference: dict[str, Any]) -> float | None:
    """Return the share of a reference's CA that is left; None where there is none to lose."""
    if scores is None or not reference["ca"]["value"]:
        return None
    return float(scores["ca"]["value"] / reference["ca"]["value"])


def _point(point: Record, reference_ca: float) -> Record:
    row = {"alpha": point["alpha"], "split": "validation", **_flat(point)}
    row["ca_retention"] = row["ca"] / reference_ca if reference_ca else None
    return row


def objective_values(record: Record, min_retention: float) -> dict[str, float]:
    """Return what a sampler is told, from validation scores only: penalised ASR, CA and ASR.

    Of a path, the selected α counts; where no α is feasible, the one that retains most CA.
    """
    from tbar_ray.evaluation.selection import penalised_asr

    path = record["path"]
    point = next((p for p in path if p["alpha"] == record["alpha"]), None) or max(path, key=lambda p: float(p["ca"]))
    return {
        "penalised_asr": penalised_asr(point["ca"], point["asr"], record["reference_ca"], min_retention),
        "ca": point["ca"],
        "asr": point["asr"],
        "pa": point["pa"],
    }


class Ledger:
    """A campaign's folder in the store: its spec, and one record per trial."""

    def __init__(self, store: Store, spec: CampaignSpec) -> None:
        self.store = store
        self.folder = f"campaigns/{spec.name}/{campaign_fingerprint(spec)}"
        self._spec = spec

    def open(self) -> None:
        """Write the spec beside its trials."""
        self.store.write_json(f"{self.folder}/spec.json", self._spec.model_dump(mode="json"))

    def find(self, fingerprint: str) -> Record | None:
        """Return a trial's record, or None if it has none."""
        path = f"{self.folder}/trials/{fingerprint}.json"
        return self.store.read_json(path) if self.store.exists(path) else None

    def write(self, record: Record) -> None:
        """Keep a trial's record, replacing an earlier one of the same trial."""
        self.store.write_json(f"{self.folder}/trials/{record['fingerprint']}.json", record)

    def read(self) -> list[Record]:
        """Return all records, sorted by cell."""
        names = self.store.list_json(f"{self.folder}/trials")
        records = [self.store.read_json(f"{self.folder}/trials/{name}") for name in names]
        return sorted(records, key=sort_key)


def sort_key(record: Record) -> tuple[Any, ...]:
    """Return the order of records in every table and file."""
    return (
        record["attack"],
        record.get("source") or "",
        record["method"],
        record["seed"],
        record["poisoning_rate"] or 0,
        record["forget_size"],
        record["clean_fraction"],
        record["learning_rate"] or 0,
        str(record.get("parameters") or ""),
        record["alphas"],
    )


def campaign_fingerprint(spec: CampaignSpec) -> str:
    """Return 16 hex digits that change with what a campaign computes or how it searches, not where it runs."""
    import hashlib

    content = spec.model_dump(
        mode="json", exclude={"description": True, "resources": {"gpus", "readers", "checkpoint_minutes"}}
    )
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def missing_stages(stage: Stage, store: Store) -> list[Stage]:
    """Return the stages under `stage` that are not in the store, inputs first."""
    return [node for node in stages_in_order([stage]) if not store.has(node.artifact)]
