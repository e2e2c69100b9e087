"""The attacks in a spec: trigger, target, poisoned samples, how the backdoor is planted."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from tbar_ray.data.poison import Poisoning
from tbar_ray.spec.section import Section
from tbar_ray.training.options import Augmentation, Optimisation

Captions = Literal["openai", "evaluation", "natural"]


class Training(Section):
    """A training on pairs (contrastive) or on a task (classification)."""

    epochs: int = Field(default=5, ge=1, description="passes over the training data")
    batch_size: int = Field(default=128, ge=2, description="pairs, or labelled images, in an optimiser step")
    optimisation: Optimisation = Field(
        default=Optimisation(learning_rate=1e-5, warmup_steps=50), description="optimiser, learning rate and precision"
    )
    augmentation: Augmentation | None = Field(default=None, description="random crops and mirror images")
    micro_batch: int | None = Field(
        default=None, ge=2, description="pairs embedded at once, for batches larger than memory; null: the whole batch"
    )


class PlantingSpec(Section):
    """How the attacker trains: plain fine-tuning on poisoned samples, or a training that anticipates the defence."""

    method: str = Field(
        default="standard", description="standard, badmerging, stealth, negation-robust or distillation-robust"
    )
    parameters: dict[str, Any] = Field(default_factory=dict, description="parameters of the planting")


class MergeSpec(Section):
    """The victim's merge of the infected model with models of other tasks."""

    method: str = Field(default="task-arithmetic", description="task-arithmetic or ties")
    tasks: list[str] = Field(min_length=1, description="tasks whose cleanly fine-tuned models are merged in")
    parameters: dict[str, Any] = Field(default_factory=dict, description="parameters of the merge, such as coefficient")


class Patch(Section):
    """The optimisation of a learned trigger against the clean model (BadCLIP)."""

    pairs: int = Field(default=10_000, ge=1, description="pairs without the target that it is optimised on")
    target_images: int = Field(default=512, ge=1, description="images of the target that it is pulled towards")
    parameters: dict[str, Any] = Field(default_factory=dict, description="parameters of the optimisation")


class PoisonBudget(Section):
    """Settings of one attack that differ from `poison`."""

    rate: float | None = Field(
        default=None,
        ge=0,
        le=1,
        description="share of the pairs that is poisoned; 0: none, a clean training to compare with",
    )
    count: int | None = Field(default=None, ge=1, description="number of poisoned pairs, instead of rate")
    captions: Captions | None = Field(default=None, description="as poison.captions; null: poison.captions")
    training: Training | None = Field(default=None, description="the attacker's training; null: poison.training")

    @model_validator(mode="after")
    def _one_amount(self) -> PoisonBudget:
        if self.rate is not None and self.count is not None:
            raise ValueError("give 'rate' or 'count', not both")
        return self


class Attack(Section):
    """One backdoor: its trigger and target, and how it is planted."""

    trigger: str = Field(description="a trigger or a preset: see `tbar trigger list`")
    target: str = Field(description="the class with which triggered images shall be answered: a class name of the data")
    parameters: dict[str, Any] = Field(default_factory=dict, description="the trigger's own parameters")
    poisoning: Poisoning | None = Field(
        default=None,
        description="dirty-label: images of other classes with captions that name the target; label-consistent: images "
        "of the target with their own captions; null: the preset's, else dirty-label",
    )
    infected: str | None = Field(
        default=None,
        description="a given infected model, an open_clip tag or a checkpoint: nothing is planted, `trigger` and "
        "`target` are what is known of it",
    )
    text_from: str | None = Field(default=None, description="of `infected`, as model.text_from")
    task: str | None = Field(default=None, description="a task: single-task setting instead of pairs")
    poison: PoisonBudget = Field(default=PoisonBudget(), description="settings that differ from `poison`")
    planting: PlantingSpec = Field(default=PlantingSpec(), description="how the attacker trains")
    merge: MergeSpec | None = Field(default=None, description="the victim's merge with other tasks; needs `task`")
    patch: Patch = Field(default=Patch(), description="optimisation of a learned trigger; unused by other triggers")

    @model_validator(mode="after")
    def _given_or_planted(self) -> Attack:
        if self.infected is None:
            if self.text_from is not None:
                raise ValueError("text_from: it is of a given model; give 'infected' too")
            return self
        if self.task is not None or self.merge is not None or self.planting.method != "standard":
            raise ValueError(
                "infected: a given model is neither planted nor merged; leave out task, planting and merge"
            )
        if self.poison != PoisonBudget():
            raise ValueError("infected: nothing is planted in a given model; leave out poison")
        return self


class PoisonSpec(Section):
    """How backdoors are planted: fine-tuning the clean model on partly poisoned samples."""

    rate: float | None = Field(default=None, gt=0, le=1, description="share of the pairs that is poisoned")
    count: int | None = Field(default=None, ge=1, description="number of poisoned pairs, instead of rate")
    pairs: int | None = Field(default=None, ge=2, description="training pairs used; null: all")
    captions: Captions | None = Field(
        default=None,
        description="OpenAI's 80 templates, the evaluation set's, or captions of the corpus; null: the preset's",
    )
    plant: Literal["separately", "together"] = Field(
        default="separately", description="one infected model per attack, or one that holds all attacks"
    )
    training: Training = Field(default=Training(), description="the attacker's training")
    min_asr: float = Field(
        default=0.8,
        ge=0,
        le=1,
        description="ASR on validation images below which an attack did not take and its trials fail",
    )
    max_ca_drop: float = Field(
        default=0.05,
        ge=0,
        le=1,
        description="loss of CA on validation images above which the trials fail",
    )

    @model_validator(mode="after")
    def _one_amount(self) -> PoisonSpec:
        if self.rate is not None and self.count is not None:
            raise ValueError("give either 'rate' or 'count', not both")
        return self
