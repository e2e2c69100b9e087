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


class StageUse(Part):
    """A stage that a trial needed, whoever computed it.

    Attributes:
        artifact: its name, KIND-FINGERPRINT.
        seconds: how long it ran.
        cpus: CPUs that it held, with those of its other workers.
        gpus: GPUs that it held, or a fraction of one; None for stages of earlier versions, which do not tell.
    """

    artifact: str
    seconds: float
    cpus: float
    gpus: float | None = None


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


class GeometryRecord(Part):
    """Lengths and angles of a trigger at the clean model (`evaluation.geometry`). None: a vector or gradient is zero.

    Attributes:
        cosine_towards_target: of τ_t and τ_y, in [−1, 1]; τ_y is of the same samples and labels without the trigger.
        relative_length: ‖τ_t‖ / ‖θ‖ of the image encoder.
        gradient_overlap: cosine of the gradients of trigger loss and clean loss, in [−1, 1].
        gradient_overlap_by_depth: the same in each quarter of the depth, from the image's side.
        images: on which the gradients are.
    """

    cosine_towards_target: float | None
    relative_length: float | None
    gradient_overlap: float | None
    gradient_overlap_by_depth: tuple[float | None, ...]
    images: int


class DisentanglementRecord(Part):
    """The map of ξ, and where it is read. None: unknown, or outside the grid.

    The map's vector τ_t and the trial's own vector τ start at different models and have different lengths, so a
    coefficient of one is none of the other.

    Attributes:
        statistics: the running ones of the moved models; None where they have none.
        at_planted: ξ(1, 1).
        at_negated: ξ(1, −α) at the trial's selected α: as many τ_t are taken away as the trial takes τ.
        at_equal_length: ξ(1, alpha_equal_length), where as long a step is taken along −τ_t as the trial's along −τ.
        alpha_equal_length: −α·‖τ‖ / ‖τ_t‖; None for a method that negates no vector.
        geometry: None in records that were made without it.
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
    at_equal_length: float | None = None
    alpha_equal_length: float | None = None
    geometry: GeometryRecord | None = None


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
