"""The record of a trial, typed: settings, results and cost. `ledger` reads and writes it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, JsonValue

from tbar_ray.lasting.options import Uncleaned
from tbar_ray.models.statistics_choice import StatisticsChoice
from tbar_ray.planning.axes import STANDARD, Setting
from tbar_ray.records.inversion import InversionRecord
from tbar_ray.records.measures import (
    Cost,
    DisentanglementRecord,
    GateRecord,
    OtherBackdoor,
    SensitivityRecord,
    StageUse,
    VisibilityRecord,
    WeightChange,
)
from tbar_ray.records.part import Part
from tbar_ray.records.rebound import ReboundRecord
from tbar_ray.records.scores import METRICS, PointRecord, RateRecord, Role, ScoresRecord

SCHEMA_VERSION = 3
"""Changes whenever a record of an earlier version could be misread."""
Status = Literal["done", "infeasible", "dominated", "failed"]


class TrialRecord(Part):
    """One trial.

    Attributes:
        fingerprint: of what the trial computes.
        path_artifact: the artifact of its α path, with the answers to every test image.
        settings: the values of its axes, by name; α is separate.
        alphas: the path of α; `alpha` is the selected one.
        removed, infected, clean, before_merge: test scores of the models, where they are known.
        statistics: the running statistics on which α was selected and with which `removed` was scored; None for a model
            without such.
        statistics_images: on how many clean images they were re-estimated.
        as_applied, reestimated: test scores at the same α with the other statistics.
        gate: what decided whether the attack took; None in a record of an earlier version.
        visibility: of the trigger; None in a record of an earlier version.
        retrieval: scores of the retrieval set by model.
        reference_ca: the infected model's validation CA.
        path: validation scores at the α that were scored; `path_falls` says of a bisection whether the curves fall.
        found: further results of the method, such as thresholds.
    """

    schema_version: int = SCHEMA_VERSION
    fingerprint: str
    path_artifact: str
    settings: dict[str, Setting]
    trigger: str
    target: str
    task: str | None = None
    planting: str = "standard"
    merge: str | None = None
    status: Status
    reason: str | None = None
    alphas: tuple[float, ...]
    alpha: float | None = None
    removed: ScoresRecord | None = None
    statistics: StatisticsChoice | None = None
    statistics_images: int | None = None
    as_applied: ScoresRecord | None = None
    reestimated: ScoresRecord | None = None
    infected: ScoresRecord | None = None
    clean: ScoresRecord | None = None
    before_merge: ScoresRecord | None = None
    gate: GateRecord | None = None
    visibility: VisibilityRecord | None = None
    retrieval: dict[Role, dict[str, RateRecord]] = Field(default_factory=dict)
    reference_ca: float | None = None
    path: tuple[PointRecord, ...] = ()
    path_falls: bool | None = None
    alpha_sensitivity: SensitivityRecord | None = None
    weight_change: WeightChange | None = None
    found: dict[str, JsonValue] = Field(default_factory=dict)
    others: dict[str, OtherBackdoor] = Field(default_factory=dict)
    disentanglement: DisentanglementRecord | None = None
    inversion: InversionRecord | None = None
    """What the search for the trigger found; None where the defender was told."""
    rebounds: tuple[ReboundRecord, ...] = ()
    """Under clean fine-tuning, by learning rate, the spec's own first; () where it was not measured."""
    downstream: dict[str, ScoresRecord] = Field(default_factory=dict)
    """Test scores of the cleaned model after a change that people make, each by itself, by its name."""
    downstream_references: dict[Uncleaned, dict[str, ScoresRecord]] = Field(default_factory=dict)
    """The same of models that nothing was removed from."""
    cost: Cost | None = None
    seconds: float | None = None
    ended: float | None = None
    """When the last of its own stages ended, or the trial failed, in seconds since the epoch; None in a record of an
    earlier version."""
    skipped_samples: int = 0
    lost: tuple[str, ...] = ()
    """What could not be read of the trial's data, one line each: shard, key and reason."""
    trainings: dict[str, str] = Field(default_factory=dict)
    """The shared trainings under the trial, as artifacts, by the name of their loss curves."""
    infected_artifact: str | None = None
    """The infected model that the attacker hands out, with examples of its poisoned pairs."""
    pretraining_samples: int | None = None
    """Samples that pretraining saw, each as often as it was seen; None for weights of which it is not known."""
    plant_fingerprint: str | None = None
    stages: tuple[StageUse, ...] = ()
    """The stages that the trial needed and that have ended, inputs first, with what they cost."""

    @property
    def attack(self) -> str:
        """The attack whose infected model was unlearned."""
        return str(self.settings["attack"])

    @property
    def source(self) -> str:
        """The attack whose vector was applied."""
        return str(self.settings.get("source") or self.attack)

    @property
    def transferred(self) -> bool:
        """Whether the vector comes from another attack's model."""
        return self.source != self.attack

    @property
    def method(self) -> str:
        """The unlearning method, by its name in the spec."""
        return str(self.settings["method"])

    @property
    def seed(self) -> int:
        """The trial's seed."""
        return _number(self.settings["seed"])

    @property
    def forget_size(self) -> int:
        """Images of the forget set."""
        return _number(self.settings["forget_size"])

    @property
    def clean_fraction(self) -> float:
        """Share of clean images in the forget set."""
        value = self.settings["clean_fraction"]
        assert isinstance(value, int | float)
        return float(value)

    @property
    def took(self) -> bool:
        """Whether the attack took, on validation; of a record without a gate, whether the trial did not fail."""
        return self.status != "failed" if self.gate is None else self.gate.passed

    @property
    def ca_retention(self) -> float | None:
        """CA after removal over the infected model's; None where there is none to lose."""
        return self._retention("infected")

    @property
    def ca_retention_clean(self) -> float | None:
        """CA after removal over the clean model's."""
        return self._retention("clean")

    @property
    def beside(self) -> ScoresRecord | None:
        """Test scores at the selected α with the other running statistics; None for a model without such."""
        return self.as_applied or self.reestimated

    @property
    def asr_masked(self) -> float | None:
        """ASR that the statistics which the edit leaves hide: re-estimated less as applied, in [−1, 1]."""
        reestimated, applied = self.reestimated or self.removed, self.as_applied or self.removed
        if self.beside is None or reestimated is None or applied is None:
            return None
        asr = reestimated.asr.value, applied.asr.value
        return None if asr[0] is None or asr[1] is None else asr[0] - asr[1]

    @property
    def rebound(self) -> ReboundRecord | None:
        """Rebound at the spec's learning rate; None where it was not measured."""
        return self.rebounds[0] if self.rebounds else None

    def downstream_values(self) -> dict[str, float | None]:
        """Return CA, ASR and PA after each downstream change, by the name of their column."""
        return {
            f"{metric}_{change.replace('-', '_')}": scores.rate(metric).value
            for change, scores in self.downstream.items()
            for metric in ("ca", "asr", "pa")
        }

    @property
    def selected_point(self) -> PointRecord | None:
        """The validation scores at the selected α."""
        return next((point for point in self.path if point.alpha == self.alpha), None)

    def scores(self, role: Role = "removed") -> ScoresRecord | None:
        """Return the test scores of one model."""
        found: ScoresRecord | None = getattr(self, role)
        return found

    def rate(self, metric: str, role: Role = "removed") -> RateRecord | None:
        """Return one test score, of `METRICS` or `RETRIEVAL`; None where it was not measured."""
        if metric in METRICS:
            scores = self.scores(role)
            return None if scores is None else scores.rate(metric)
        return self.retrieval.get(role, {}).get(metric)

    def value(self, metric: str, role: Role = "removed") -> float | None:
        """Return the value of a test score, of `ca_retention` or `asr_masked`; None where it was not measured."""
        if metric in ("ca_retention", "ca_retention_clean", "asr_masked"):
            found: float | None = getattr(self, metric)
            return found
        rate = self.rate(metric, role)
        return None if rate is None else rate.value

    def setting(self, name: str) -> Setting:
        """Return the value of an axis; the source is the trial's own attack where the record says none."""
        return self.source if name == "source" else self.settings.get(name)

    def _retention(self, role: Role) -> float | None:
        kept, whole = self.value("ca"), self.value("ca", role)
        return None if kept is None or not whole else kept / whole


def settings_of(
    attack: str, method: str, seed: int, forget_size: int, clean_fraction: float, poisoning_rate: float | None,
    **more: Setting,
) -> dict[str, Setting]:  # fmt: skip
    """Return the settings that every trial has, in their order, and more."""
    given: Mapping[str, Any] = {
        "attack": attack, "source": more.pop("source", None), "method": method, "forget_size": forget_size,
        "clean_fraction": clean_fraction, "poisoning_rate": poisoning_rate, "seed": seed,
    }  # fmt: skip
    return {**{name: given[name] for name in STANDARD}, **more}


def _number(value: Setting) -> int:
    assert isinstance(value, int)
    return value
