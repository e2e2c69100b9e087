"""What a trial's record holds beside scores: α-sensitivity, ξ, what the attacker did and was judged by, cost."""

from __future__ import annotations

from pydantic import JsonValue

from tbar_ray.models.statistics_choice import StatisticsChoice
from tbar_ray.records.part import Part


class SensitivityRecord(Part):
    """The widest range of α in which ASR ≤ 1 % and CA ≥ 95 % of the infected model's (`evaluation.sensitivity`)."""

    low: float | None
    high: float | None
    width: float
    total_width: float
    censored: bool
    censored_low: bool
    censored_high: bool
    intervals: tuple[tuple[float, float], ...]


class WeightChange(Part):
    """How far the attacker moved the weights (`models.task_vector`)."""

    relative_l2: float
    relative_linf: float
    participation: float


class GateRecord(Part):
    """What decided whether the attack took: validation scores of infected and clean model, and the bounds.

    `clean_ca` is None where there is no clean model.
    """

    asr: float
    ca: float
    clean_ca: float | None
    min_asr: float
    max_ca_drop: float

    @property
    def passed(self) -> bool:
        """Whether the attack took: the rule of `stages.evaluate.AttackGate`."""
        return self.asr >= self.min_asr and self.ca_drop <= self.max_ca_drop

    @property
    def ca_drop(self) -> float:
        """CA of the clean model less the infected one's; 0 without a clean model."""
        return 0.0 if self.clean_ca is None else self.clean_ca - self.ca


class MeanRecord(Part):
    """A mean of n values with its 95 % Student interval; without an interval for a single value."""

    value: float
    n: int
    low: float | None
    high: float | None


class VisibilityRecord(Part):
    """How visible the trigger is (`evaluation.visibility`).

    `psnr`, in dB, is over the images that the trigger changes; None: it changes none, and PSNR is infinite.
    """

    psnr: MeanRecord | None
    ssim: MeanRecord
    images: int
    unchanged: int


class OtherBackdoor(Part):
    """ASR of another backdoor of the same model, before this one's removal and after."""

    asr_infected: float | None
    asr: float | None


class DisentanglementRecord(Part):
    """The map of ξ; `at_planted` is ξ(1, 1), `at_negated` ξ(1, −α) at the trial's selected α. None: unknown.

    `statistics` are the running ones of the moved models; None where they have none.
    """

    alphas_c: tuple[float, ...]
    alphas_t: tuple[float, ...]
    clean_term: tuple[tuple[float | None, ...], ...]
    triggered_term: tuple[tuple[float | None, ...], ...]
    n_c: int
    n_t: int
    statistics: StatisticsChoice | None = None
    vectors: dict[str, JsonValue]
    at_planted: float | None
    at_negated: float | None
    alpha: float | None


class Cost(Part):
    """What unlearning took: images held and seen, steps, seconds, and peak bytes beyond the model itself."""

    data: int
    forget_images: int
    clean_pairs: int
    training_pairs: int
    samples: int
    steps: int
    seconds: float
    peak_memory: int
