"""The settings of cleaning one model; the defaults are those of a campaign unless their line says otherwise."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isfinite
from typing import Any, get_args

from tbar_ray.errors import SpecError
from tbar_ray.evaluation.selection import Preference
from tbar_ray.models.statistics_choice import StatisticsChoice


@dataclass(frozen=True)
class CleaningSettings:
    """How a model is cleaned.

    Attributes:
        method: a name of `tbar method list`; twin-distillation restores true answers, which few do.
        parameters: of the method.
        forget: images of the forget set, triggered and clean together.
        clean_fraction: share of them that is not stamped, in [0, 1).
        clean_pairs: pairs for a method that needs clean ones.
        alphas: strengths to choose from; None: those of the method.
        min_retention: share of the suspicious model's CA that must be kept.
        max_asr: ASR at which the backdoor counts as removed; None: the least ASR is best.
        prefer: which of the α that remove it is selected: the one with most CA, or the strongest.
        validation_fraction: share of the labelled images that α is chosen on; the others are reported.
        max_images: labelled images at most; a campaign uses all of them.
        min_asr: ASR on validation images below which the model counts as clean.
        statistics: those on which α is selected, of a model with BatchNorm.
        seed: of every choice and draw.
    """

    method: str = "twin-distillation"
    parameters: Mapping[str, Any] = field(default_factory=dict)
    forget: int = 300
    clean_fraction: float = 0.0
    clean_pairs: int = 300
    alphas: tuple[float, ...] | None = None
    min_retention: float = 0.95
    max_asr: float | None = None
    prefer: Preference = "accuracy"
    validation_fraction: float = 0.5
    max_images: int | None = 2000
    min_asr: float = 0.5
    statistics: StatisticsChoice = "reestimated"
    seed: int = 0

    def __post_init__(self) -> None:
        alphas = self.alphas
        if alphas is not None and not (alphas and all(isfinite(alpha) and alpha >= 0 for alpha in alphas)):
            raise SpecError(f"α {list(alphas)}: give finite numbers of at least 0, e.g. --alphas 0.8,1,1.2")
        for name in ("min_retention", "min_asr", "max_asr"):
            if (value := getattr(self, name)) is not None and not 0 <= value <= 1:
                raise SpecError(f"{name} {value} is a share: give a number from 0 to 1")
        if not 0 <= self.clean_fraction < 1:
            raise SpecError(f"clean_fraction {self.clean_fraction}: give a share in [0, 1); the rest is stamped")
        if not 0 < self.validation_fraction < 1:
            raise SpecError(f"validation_fraction {self.validation_fraction}: give a share between 0 and 1")
        for name in ("forget", "clean_pairs"):
            if getattr(self, name) < 1:
                raise SpecError(f"{name} {getattr(self, name)}: give at least 1")
        if self.prefer not in get_args(Preference):
            raise SpecError(f"prefer {self.prefer!r}: one of {', '.join(get_args(Preference))}")
        if self.max_images is not None and self.max_images < 2:
            raise SpecError(f"max_images {self.max_images}: give at least 2, one to choose α on and one to report")
