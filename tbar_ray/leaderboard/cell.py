"""A cell of the leaderboard, as one line of its file: what one method did to one attack's model with one seed."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, JsonValue

from tbar_ray.evaluation.rebound import is_eligible
from tbar_ray.records.part import Part
from tbar_ray.records.scores import RateRecord

SCHEMA_VERSION = 1
"""Changes whenever a line of an earlier version could be misread."""
Status = Literal["done", "infeasible", "failed", "not taken", "missing"]
"""done: an α was selected; infeasible: none keeps enough CA; failed: the method ended with an error; not taken: the
attack did not, so that there is nothing to remove; missing: not measured."""
TunedOn = Literal["attack", "trigger", "no", "not stated"]
"""Whether a method's hyper-parameters were chosen on this attack, on another with the same trigger, or on others."""
Key = tuple[str, str, str, str, int]
"""What tells cells apart: data set, search for the trigger ('' where it is told), method, attack, seed."""


class ModelScores(Part):
    """Test scores of one model, each with n and its 95 % Wilson interval over images."""

    ca: RateRecord
    asr: RateRecord
    pa: RateRecord


class CaLoss(Part):
    """What removal has cost of CA, on the same test images: infected minus cleaned model, in shares of the images.

    Attributes:
        value: the difference; negative where the cleaned model is better.
        low, high: its 95 % interval, of paired answers (`evaluation.paired.newcombe_interval`).
    """

    value: float
    low: float
    high: float


class After(Part):
    """What clean fine-tuning of the cleaned model brings back (`evaluation.rebound`).

    Attributes:
        highest: A_post, the highest ASR of all scored steps, with n and interval.
        infected: the same of the infected model, that nothing was removed from.
        steps, learning_rate: of the fine-tuning.
        ca: CA after the last step.
    """

    highest: RateRecord
    infected: float
    steps: int
    learning_rate: float
    ca: RateRecord


class Held(Part):
    """What the defender held for the method.

    Attributes:
        images: triggered and clean images of the forget set.
        clean_pairs: trusted image–caption pairs.
        training_pairs: pairs of the attacker's training data, poisoned ones included and unmarked.
        labels: whether class labels of the clean pairs are read.
        knows: what of the attack the method cannot work without: trigger, target.
    """

    images: int
    clean_pairs: int
    training_pairs: int
    labels: bool
    knows: tuple[str, ...]


class Cell(Part):
    """One cell. What was not measured is None.

    Attributes:
        data: the data set.
        search: the search that found the trigger; None where the defender was told it.
        clean, infected, cleaned: scores of the model before the attack, after it, and after removal.
        ca_loss: of CA between these two, on the same images; None where the answers to each image are not known.
        seconds, samples: what unlearning took, and images that went through the model meanwhile.
        gpus: share of a GPU that unlearning had; None where it had none.
        alpha: as selected on validation.
        parameters: of the method.
        proposals: how many were tried in the search for the method's hyper-parameters; None where that is not stated.
        fingerprint: of the trial's path of α, under which the store has it.
        ended: when it was computed, in seconds since the epoch.
        code: version and commit that computed it; None where they were not written down.
        command: repeats the cell.
    """

    schema_version: int = SCHEMA_VERSION
    data: str
    search: str | None = None
    method: str
    attack: str
    seed: int = Field(ge=0)
    status: Status
    reason: str | None = None
    clean: ModelScores | None = None
    infected: ModelScores | None = None
    cleaned: ModelScores | None = None
    ca_loss: CaLoss | None = None
    after: After | None = None
    held: Held | None = None
    seconds: float | None = None
    samples: int | None = None
    gpus: float | None = None
    alpha: float | None = None
    parameters: dict[str, JsonValue] = Field(default_factory=dict)
    tuned_on: TunedOn = "not stated"
    proposals: int | None = None
    fingerprint: str
    ended: float | None = None
    code: str | None = None
    command: str

    @property
    def key(self) -> Key:
        """What tells it from other cells."""
        return self.data, self.search or "", self.method, self.attack, self.seed

    @property
    def is_measured(self) -> bool:
        """Whether there is a result, be it that the method or the attack failed."""
        return self.status != "missing"

    @property
    def is_of_a_method(self) -> bool:
        """Whether it tells something of its method: it is measured, and the attack took."""
        return self.is_measured and self.status != "not taken"

    @property
    def gave_no_model(self) -> bool:
        """Whether the method ended without a model: no α keeps enough CA, or it failed."""
        return self.status in ("infeasible", "failed")

    @property
    def can_come_back(self) -> bool:
        """Whether ASR is at most 10 %, so that A_post tells whether it comes back."""
        asr = self.value("asr")
        return asr is not None and is_eligible(asr)

    @property
    def lacks_after(self) -> bool:
        """Whether A_post would tell something and is not known."""
        return self.can_come_back and self.after is None

    @property
    def ca_lost(self) -> float | None:
        """Share of the infected model's CA that is gone, at least 0."""
        before = None if self.infected is None else self.infected.ca.value
        after = None if self.cleaned is None else self.cleaned.ca.value
        return None if not before or after is None else max(0.0, 1 - after / before)

    def value(self, metric: Literal["ca", "asr", "pa"]) -> float | None:
        """A test score after removal."""
        if self.cleaned is None:
            return None
        rate: RateRecord = getattr(self.cleaned, metric)
        return rate.value
