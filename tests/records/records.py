"""Trial records as a campaign writes them, made up but plausible."""

from __future__ import annotations

from itertools import product
from typing import Any

from tbar_ray.evaluation.rates import Rate
from tbar_ray.records.cells import CELL

Record = dict[str, Any]
N = 1200


def rates(ca: float, asr: float, pa: float, suffix: str = "", n: int = N) -> Record:
    row: Record = {}
    for metric, share in (("ca", ca), ("ca_top5", min(1, ca + 0.1)), ("asr", asr), ("asr_all_images", asr), ("pa", pa)):
        count = n - 20 if metric == "asr" else n
        rate = Rate.of(round(min(1, max(0, share)) * count), count)
        values = (("", rate.value), ("_low", rate.low), ("_high", rate.high), ("_n", count))
        row |= {f"{metric}{suffix}{end}": value for end, value in values}
    return row


def scores_at(attack: str, size: int, fraction: float, seed: int, alpha: float) -> tuple[float, float, float]:
    strength = {"badnets": 1.0, "blended": 0.8}.get(attack, 0.9) * (1 + size / 900) * (1 - 0.35 * fraction)
    asr = 0.98 / (1 + (alpha * strength / 0.33) ** 4)
    ca = 0.86 - 0.10 * (1 - fraction) * (alpha**2) * (0.6 + 60 / (size + 60)) - 0.004 * seed
    return ca, asr, (1 - asr) * ca


def record(
    attack: str = "badnets",
    size: int = 100,
    fraction: float = 0.0,
    seed: int = 0,
    method: str = "tbar",
    alphas: tuple[float, ...] = tuple(i / 10 for i in range(11)),
    **changes: Any,
) -> Record:
    """A finished trial; `changes` replace fields of it."""
    path = [{"alpha": a, "split": "validation", **rates(*scores_at(attack, size, fraction, seed, a))} for a in alphas]
    reference = 0.86
    for point in path:
        point["ca_retention"] = point["ca"] / reference
    feasible = [p for p in path if p["ca_retention"] >= 0.95] or path
    best = min(feasible, key=lambda p: (p["asr"], -p["ca"]))
    ca, asr, pa = scores_at(attack, size, fraction, seed, best["alpha"])
    test = rates(ca - 0.004, asr + 0.003, pa - 0.002)
    return {
        "attack": attack, "source": None, "task": None, "planting": "standard", "merge": None,
        "method": method, "forget_size": size, "clean_fraction": fraction,
        "poisoning_rate": 0.01, "seed": seed, "learning_rate": None, "parameters": None, "trigger": attack,
        "target": "red square",
        "fingerprint": f"{attack}-{method}-{size}-{fraction}-{seed}-{len(alphas)}-{alphas[0]}",
        "alphas": list(alphas), "status": "done", "reason": None, "split": "test", "alpha": best["alpha"],
        **test, **rates(0.857, 0.979, 0.02, "_infected"), **rates(0.868, 0.012, 0.84, "_clean"),
        "ca_retention": test["ca"] / 0.857, "ca_retention_clean": test["ca"] / 0.868, "seconds": 12.5,
        "skipped_samples": 0, "reference_ca": reference, "path": path, **changes,
    }  # fmt: skip


def failed(attack: str = "badnets", size: int = 100, fraction: float = 0.0, seed: int = 0, **changes: Any) -> Record:
    """A trial that ended before it had a result."""
    whole = record(attack, size, fraction, seed)
    kept = ("trigger", "target", "task", "planting", "merge", "fingerprint", "alphas", *CELL)
    infected = {name: value for name, value in whole.items() if "_infected" in name}
    reason = "attack did not take: ASR 31.0% of the infected model is below poison.min_asr 80%"
    end = {"status": "failed", "reason": reason, "path": [], "split": "test"}
    return {**{name: whole[name] for name in kept}, **infected, **end, **changes}


def infeasible(attack: str = "badnets", size: int = 100, fraction: float = 0.0, seed: int = 0) -> Record:
    """A trial of which no α retains enough CA: validation scores, but no test result."""
    whole = record(attack, size, fraction, seed)
    gone = dict.fromkeys(rates(0, 0, 0))
    reason = "no α retains 95% of the infected model's validation CA 86.0%; the best has 70.1%"
    return {**whole, **gone, "alpha": None, "ca_retention": None, "status": "infeasible", "reason": reason}


def grid(sizes: tuple[int, ...] = (20, 300), fractions: tuple[float, ...] = (0.0, 0.5), **fixed: Any) -> list[Record]:
    """Every cell of two attacks."""
    return [record(a, s, f, **fixed) for a, s, f in product(("badnets", "blended"), sizes, fractions)]


def error_map(error: float = 0.25) -> Record:
    """A map of ξ on 3 × 3 points: both terms are `error` everywhere but on the axes and in one unknown cell."""
    alphas = [-1.0, 0.0, 1.0]
    clean = [[0.0 if t == 0 else error for t in alphas] for _ in alphas]
    triggered = [[0.0 if c == 0 else error for _ in alphas] for c in alphas]
    clean[0][0] = None  # type: ignore[call-overload]
    return {
        "alphas_c": alphas, "alphas_t": alphas, "clean_term": clean, "triggered_term": triggered,
        "n_c": 600, "n_t": 590, "at_planted": 2 * error, "at_negated": None, "alpha": 2.0, "vectors": {},
    }  # fmt: skip


NAMES = (
    "badnets", "badnets-gaussian", "badnets-gaussian-wrapped", "badnets-lattice", "badnets-stripes", "badnets-square",
    "blended", "blended-fixed", "blended-picture", "blended-stripes", "blended-triangles", "blended-text", "wanet",
    "wanet-jitter", "sig", "sig-blended", "ftrojan", "fourier", "label-consistent", "badclip", "negation-robust",
    "stealth", "badmerging", "badmerging-ties",
)  # fmt: skip


def flat(low: float | None = 0.4, high: float | None = 0.8, end: bool = False) -> Record:
    """What `alpha_sensitivity` says of one range; `end`: it meets the last α."""
    width = 0.0 if low is None or high is None else high - low
    found = [] if low is None else [[low, high]]
    ends = {"censored": end, "censored_low": False, "censored_high": end}
    return {"low": low, "high": high, "width": width, "total_width": width, **ends, "intervals": found}


def matrix() -> list[Record]:
    """An attack matrix: 24 attacks of one cell each, three of which did not take and one that cannot be removed."""
    made = [record(name, alpha_sensitivity=flat(0.4, 0.4 + i / 100)) for i, name in enumerate(NAMES)]
    for place in (12, 15, 16):
        made[place] = failed(NAMES[place])
    made[17] = infeasible(NAMES[17])
    return made


def moved(attack: str, source: str, asr: float, ca: float = 0.8, **fixed: Any) -> Record:
    """A trial of transfer: the vector learned on the model of `source`, applied to that of `attack`."""
    changes = {**rates(ca, asr, 0.5), "ca_retention": round(ca * N) / N / 0.857}
    own = attack == source
    made = record(attack, **fixed, source=None if own else source, **changes)
    return {**made, "fingerprint": f"{made['fingerprint']}-{source}"}


def retrieved(share: float, suffix: str = "") -> Record:
    """Scores of a retrieval set: R@1 is `share`, the others more, caption-ASR a tenth of it."""
    row: Record = {}
    for way in ("image_to_text", "text_to_image"):
        for k, more in ((1, 0.0), (5, 0.1), (10, 0.2)):
            row[f"{way}_at_{k}{suffix}"] = share + more
    rate = Rate.of(round(share * 100), 1000)
    values = {"": rate.value, "_low": rate.low, "_high": rate.high, "_n": 1000}
    return row | {f"caption_asr{suffix}{end}": value for end, value in values.items()}
