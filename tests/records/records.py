"""Trial records as a campaign writes them, made up but plausible."""

from __future__ import annotations

from itertools import product
from typing import Any

from tbar_ray.evaluation.rates import Rate as Measured
from tbar_ray.records.measures import (
    DisentanglementRecord,
    GateRecord,
    GeometryRecord,
    MeanRecord,
    SensitivityRecord,
    VisibilityRecord,
)
from tbar_ray.records.rebound import ReboundCurve, ReboundPoint, ReboundRecord
from tbar_ray.records.record import TrialRecord, settings_of
from tbar_ray.records.scores import PointRecord, RateRecord, ScoresRecord

N = 1200
REFERENCE = 0.86


def rate(share: float, n: int = N) -> RateRecord:
    measured = Measured.of(round(min(1, max(0, share)) * n), n)
    return RateRecord(value=measured.value, low=measured.low, high=measured.high, n=n)


def scores(ca: float, asr: float, pa: float, n: int = N) -> ScoresRecord:
    """Scores of n images, 20 of which are of the target's class."""
    return ScoresRecord(
        ca=rate(ca, n), ca_top5=rate(ca + 0.1, n), asr=rate(asr, n - 20), asr_all_images=rate(asr, n), pa=rate(pa, n)
    )


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
    axes: dict[str, Any] | None = None,
    poisoning_rate: float | None = 0.01,
    source: str | None = None,
    **changes: Any,
) -> TrialRecord:
    """A finished trial; `axes` are settings beside the usual ones, `changes` replace fields of the record."""
    path = []
    for alpha in alphas:
        at = scores(*scores_at(attack, size, fraction, seed, alpha))
        assert at.ca.value is not None
        path.append(PointRecord(alpha=alpha, scores=at, ca_retention=at.ca.value / REFERENCE))
    best = min([p for p in path if (p.ca_retention or 0) >= 0.95] or path, key=lambda p: (p.asr, -p.ca))
    ca, asr, pa = scores_at(attack, size, fraction, seed, best.alpha)
    extra = axes or {}
    named = "-".join(
        str(v) for v in (attack, method, size, fraction, seed, source, *extra.values(), len(alphas), alphas[0])
    )
    fields: dict[str, Any] = {
        "fingerprint": named,
        "path_artifact": f"path-{named}",
        "settings": settings_of(attack, method, seed, size, fraction, poisoning_rate, source=source, **extra),
        "trigger": attack,
        "target": "red square",
        "status": "done",
        "alphas": alphas,
        "alpha": best.alpha,
        "removed": scores(ca - 0.004, asr + 0.003, pa - 0.002),
        "infected": scores(0.857, 0.979, 0.02),
        "clean": scores(0.868, 0.012, 0.84),
        "reference_ca": REFERENCE,
        "path": tuple(path),
        "seconds": 12.5,
    }
    return TrialRecord(**{**fields, **changes})


def masked(attack: str = "badnets", *, asr_as_applied: float = 0.01, **changes: Any) -> TrialRecord:
    """A trial of a model with running statistics: as applied, CA is 5 points lower and ASR nearly gone at every α."""
    made = record(attack, **changes)
    applied = scores(0.70, asr_as_applied, 0.5)
    path = [p.model_copy(update={"as_applied": p.scores if p.alpha == 0 else applied}) for p in made.path]
    return made.model_copy(
        update={
            "path": tuple(path), "as_applied": applied, "statistics": "reestimated", "statistics_images": 960,
        }
    )  # fmt: skip


def failed(
    attack: str = "badnets", size: int = 100, fraction: float = 0.0, seed: int = 0, **changes: Any
) -> TrialRecord:
    """A trial that ended before it had a result."""
    reason = "attack did not take: validation ASR 31.0% of the infected model is below poison.min_asr 80%"
    gone: dict[str, Any] = dict.fromkeys(("alpha", "removed", "clean", "reference_ca", "seconds"))
    return record(attack, size, fraction, seed, **{**gone, "path": (), "status": "failed", "reason": reason, **changes})


def infeasible(
    attack: str = "badnets", size: int = 100, fraction: float = 0.0, seed: int = 0, **changes: Any
) -> TrialRecord:
    """A trial of which no α retains enough CA: validation scores, but no test result."""
    reason = "no α retains 95% of the infected model's validation CA 86.0%; the best has 70.1%"
    gone: dict[str, Any] = {"alpha": None, "removed": None, "status": "infeasible", "reason": reason}
    return record(attack, size, fraction, seed, **{**gone, **changes})


def grid(
    sizes: tuple[int, ...] = (20, 300), fractions: tuple[float, ...] = (0.0, 0.5), **fixed: Any
) -> list[TrialRecord]:
    """Every cell of two attacks."""
    return [record(a, s, f, **fixed) for a, s, f in product(("badnets", "blended"), sizes, fractions)]


def epochs_grid(epochs: tuple[int, ...] = (1, 3), **fixed: Any) -> list[TrialRecord]:
    """Two attacks and an axis without a short name."""
    axis = "model.training.epochs"
    return [
        record(a, removed=scores(0.8, 0.1 / e, 0.7), axes={axis: e}, **fixed)
        for a, e in product(("badnets", "blended"), epochs)
    ]


def geometry(cosine: float = 0.4, length: float = 0.031, overlap: float = -0.2) -> GeometryRecord:
    """Lengths and angles of a trigger."""
    return GeometryRecord(
        cosine_towards_target=cosine, relative_length=length, gradient_overlap=overlap,
        gradient_overlap_by_depth=(0.1, overlap, None, -0.5), images=590,
    )  # fmt: skip


def error_map(error: float = 0.25, **changes: Any) -> DisentanglementRecord:
    """A map of ξ on 3 × 3 points: both terms are `error` everywhere but on the axes and in one unknown cell."""
    alphas = (-1.0, 0.0, 1.0)
    clean: list[list[float | None]] = [[0.0 if t == 0 else error for t in alphas] for _ in alphas]
    triggered = [[0.0 if c == 0 else error for _ in alphas] for c in alphas]
    clean[0][0] = None
    return DisentanglementRecord.model_validate(
        {
            "alphas_c": alphas, "alphas_t": alphas, "clean_term": clean, "triggered_term": triggered,
            "n_c": 600, "n_t": 590, "at_planted": 2 * error, "at_negated": None, "alpha": 2.0, "vectors": {},
            **changes,
        }
    )  # fmt: skip


def seen(psnr: float | None, ssim: float = 0.9) -> VisibilityRecord:
    """The visibility of a trigger on 256 images; without PSNR it changes none."""

    def mean(value: float, n: int, half: float) -> MeanRecord:
        return MeanRecord(value=value, n=n, low=value - half, high=value + half)

    unchanged = 256 if psnr is None else 2
    distance = None if psnr is None else mean(psnr, 254, 0.4)
    return VisibilityRecord(psnr=distance, ssim=mean(ssim, 256, 0.01), images=256, unchanged=unchanged)


def gated(asr: float, ca: float = 0.85, clean_ca: float | None = 0.86) -> GateRecord:
    """What a gate compared, with the usual bounds."""
    return GateRecord(asr=asr, ca=ca, clean_ca=clean_ca, min_asr=0.8, max_ca_drop=0.02)


NAMES = (
    "badnets", "badnets-gaussian", "badnets-gaussian-wrapped", "badnets-lattice", "badnets-stripes", "badnets-square",
    "blended", "blended-fixed", "blended-picture", "blended-stripes", "blended-triangles", "blended-text", "wanet",
    "wanet-jitter", "sig", "sig-blended", "ftrojan", "fourier", "label-consistent", "badclip", "negation-robust",
    "stealth", "badmerging", "badmerging-ties",
)  # fmt: skip


def flat(low: float | None = 0.4, high: float | None = 0.8, end: bool = False) -> SensitivityRecord:
    """What `alpha_sensitivity` says of one range; `end`: it meets the last α."""
    width = 0.0 if low is None or high is None else high - low
    found = () if low is None or high is None else ((low, high),)
    return SensitivityRecord(
        low=low, high=high, width=width, total_width=width, censored=end, censored_low=False, censored_high=end,
        intervals=found,
    )  # fmt: skip


def matrix() -> list[TrialRecord]:
    """An attack matrix: 24 attacks of one cell each, three of which did not take and one that cannot be removed."""
    made = [record(name, alpha_sensitivity=flat(0.4, 0.4 + i / 100)) for i, name in enumerate(NAMES)]
    for place in (12, 15, 16):
        made[place] = failed(NAMES[place])
    made[17] = infeasible(NAMES[17])
    return made


def moved(attack: str, source: str, asr: float, ca: float = 0.8, **fixed: Any) -> TrialRecord:
    """A trial of transfer: the vector learned on the model of `source`, applied to that of `attack`."""
    return record(attack, **fixed, source=None if attack == source else source, removed=scores(ca, asr, 0.5))


def retrieved(share: float) -> dict[str, RateRecord]:
    """Scores of a retrieval set: R@1 is `share`, the others more, caption-ASR a tenth of it."""
    recalls = {
        f"{way}_at_{k}": RateRecord(value=share + more)
        for way in ("image_to_text", "text_to_image")
        for k, more in ((1, 0.0), (5, 0.1), (10, 0.2))
    }
    return {**recalls, "caption_asr": rate(share / 10, 1000), "caption_asr_untriggered": rate(0, 1000)}


GROWTH = (40_000, 120_000, 400_000, 1_200_000, 4_000_000)


def grown(
    attack: str = "badnets",
    seed: int = 0,
    samples: int = 40_000,
    kept: float = 0.5,
    asr: float = 0.0,
    axes: dict[str, Any] | None = None,
    **changes: Any,
) -> TrialRecord:
    """A trial on a model that saw some samples in 8 epochs, whose removal keeps a share of CA at a validation ASR."""
    of_axes = {"data.synthetic.samples": samples // 8, **(axes or {})}
    at = scores(kept * 0.857, asr, 0.5)
    point = PointRecord(alpha=2.0, scores=at, ca_retention=kept)
    fields = {"alphas": (2.0,), "alpha": 2.0, "path": (point,), "removed": at, "pretraining_samples": samples}
    return record(attack, seed=seed, axes=of_axes, **{**fields, **changes})


def curve_of(*asr: float, ca: tuple[float, float] = (0.8, 0.82), reestimated: float | None = None) -> ReboundCurve:
    """A curve of ASR at steps 0, 10, 20, …; CA goes from one value to another, PA is what ASR leaves of it."""
    cas = [ca[0] + (ca[1] - ca[0]) * place / max(1, len(asr) - 1) for place in range(len(asr))]
    found = [scores(c, a, (1 - a) * c) for c, a in zip(cas, asr, strict=True)]
    return ReboundCurve(
        points=tuple(ReboundPoint(step=10 * place, scores=each) for place, each in enumerate(found)),
        reestimated=None if reestimated is None else scores(ca[0], reestimated, 0.1),
    )


def rebounding(removed: ReboundCurve | None, rate: float = 1e-4) -> ReboundRecord:
    """Rebound of a cleaned model, beside an infected one that keeps its backdoor and a clean one that has none."""
    return ReboundRecord(
        learning_rate=rate, pairs=None if removed is None else 10_000, removed=removed,
        infected=curve_of(0.98, 0.97, 0.9, 0.85), clean=curve_of(0.01, 0.0, 0.01, 0.0, ca=(0.87, 0.85)),
    )  # fmt: skip
