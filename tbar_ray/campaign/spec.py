"""The campaign spec: what a YAML file says, with every default. Unknown keys and impossible values are errors."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from tbar_ray.campaign.axes import AXES, AxisRange
from tbar_ray.training.options import Optimisation

Sampler = Literal["grid", "random", "tpe", "gp", "nsga2"]
Fraction = Annotated[float, Field(ge=0, lt=1)]
Alpha = Annotated[float, Field(ge=0, le=1000)]


class Section(BaseModel):
    """A part of the spec: frozen, and closed to keys that it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class SyntheticData(Section):
    """The embedded corpus of captioned scenes, made where no data is given."""

    samples: int = Field(default=20_000, ge=1, description="training pairs")
    size: int = Field(default=64, ge=16, le=1024, description="image side in pixels")
    samples_per_shard: int = Field(default=1000, ge=1, le=10_000)
    per_class: int = Field(default=40, ge=2, description="evaluation images per class")
    seed: int = Field(default=0, ge=0)


class Data(Section):
    """Training shards and the evaluation set: both by URL, or both synthetic."""

    synthetic: SyntheticData | None = None
    train: str | None = Field(default=None, description="shards: a folder, glob, brace pattern or fsspec URL")
    evaluation: str | None = Field(default=None, description="CLIP_benchmark WebDataset folder or URL")
    on_error: Literal["error", "warn"] = Field(default="warn", description="what an unreadable sample does")

    @model_validator(mode="after")
    def _one_source(self) -> Data:
        named = self.train is not None or self.evaluation is not None
        if self.synthetic is not None and named:
            raise ValueError("give either 'synthetic' or 'train' and 'evaluation', not both")
        if self.synthetic is None and (self.train is None or self.evaluation is None):
            raise ValueError("give 'synthetic', or both 'train' and 'evaluation'")
        return self


class Training(Section):
    """A contrastive training."""

    epochs: int = Field(default=5, ge=1)
    batch_size: int = Field(default=128, ge=2)
    optimisation: Optimisation = Optimisation(learning_rate=1e-5, warmup_steps=50)


class Model(Section):
    """The clean model: pretrained weights, or trained here on the training data."""

    architecture: str = "ViT-B-32"
    pretrained: str | None = Field(default=None, description="an open_clip tag, or a .safetensors or .pt file")
    training: Training | None = Field(default=None, description="train the clean model on data.train")

    @model_validator(mode="after")
    def _one_origin(self) -> Model:
        if (self.pretrained is None) == (self.training is None):
            raise ValueError("give either 'pretrained' (a tag or a file) or 'training' (train it here)")
        return self


class Attack(Section):
    """One backdoor: its trigger and its target class."""

    trigger: str
    target: str
    parameters: dict[str, Any] = Field(default_factory=dict, description="the trigger's own parameters")


class Poison(Section):
    """How the backdoor is planted: fine-tuning the clean model on partly poisoned pairs."""

    rate: float | None = Field(default=None, gt=0, le=1, description="share of the pairs that is poisoned")
    count: int | None = Field(default=None, ge=1, description="number of poisoned pairs, instead of rate")
    pairs: int | None = Field(default=None, ge=2, description="training pairs used; null: all")
    captions: Literal["openai", "evaluation"] = Field(
        default="openai",
        description="templates of poisoned captions: the 80 of OpenAI, or the evaluation set's",
    )
    training: Training = Training()
    min_asr: float = Field(default=0.8, ge=0, le=1, description="below this the attack did not take")
    max_ca_drop: float = Field(default=0.05, ge=0, le=1, description="above this the attack broke the model")

    @model_validator(mode="after")
    def _one_amount(self) -> Poison:
        if (self.rate is None) == (self.count is None):
            raise ValueError("give either 'rate' or 'count'")
        return self


class Forget(Section):
    """The forget set."""

    size: int = Field(default=300, ge=1, description="images, triggered and clean together")
    clean_fraction: Fraction = Field(default=0.0, description="share of clean images")


class Unlearning(Section):
    """The unlearning method and its hyper-parameters."""

    method: str = "tbar"
    parameters: dict[str, Any] = Field(default_factory=dict)


class Evaluation(Section):
    """How α is chosen and models are scored."""

    validation_fraction: float = Field(default=0.5, gt=0, lt=1, description="share of images that choose α")
    min_retention: float = Field(default=0.95, ge=0, le=1, description="CA to keep, against the infected model")
    max_asr: float | None = Field(
        default=None,
        ge=0,
        le=1,
        description="ASR that counts as removed: of such α, the one with most CA is chosen",
    )
    max_images: int | None = Field(default=None, ge=1, description="use at most this many images of the set")


class Search(Section):
    """What varies, and how it is searched."""

    sampler: Sampler = "grid"
    axes: dict[str, list[Any] | AxisRange] = Field(default_factory=dict)
    trials: int | None = Field(default=None, ge=1, description="trials; for grid: all cells")
    objective: Literal["asr", "tradeoff"] = Field(
        default="asr", description="asr: least ASR subject to min_retention; tradeoff: CA and ASR together"
    )
    concurrency: int = Field(default=4, ge=1, description="trials in flight; part of a sampler's determinism")

    @model_validator(mode="after")
    def _sound(self) -> Search:
        from tbar_ray.naming import nearest

        for name, axis in self.axes.items():
            if name not in AXES:
                raise ValueError(f"axes: unknown axis {name!r}{nearest(name, AXES)}")
            if isinstance(axis, list) and not axis:
                raise ValueError(f"axes.{name}: the list is empty")
            if isinstance(axis, AxisRange) and self.sampler == "grid":
                raise ValueError(f"axes.{name}: sampler 'grid' needs a list of values, not a range")
            for value in axis if isinstance(axis, list) else [axis.low, axis.high]:
                AXES[name].check(value)
        if self.sampler != "grid" and self.trials is None:
            raise ValueError(f"trials: sampler {self.sampler!r} needs a number of trials")
        if self.sampler == "nsga2" and self.objective == "asr":
            raise ValueError("objective: sampler 'nsga2' searches a front; set objective: tradeoff")
        return self


class Resources(Section):
    """What each kind of stage is given; threads also decide the last bits of CPU results."""

    training_cpus: int = Field(default=2, ge=1, description="pretraining and poisoning: CPUs and torch threads")
    trial_cpus: int = Field(default=1, ge=1, description="unlearning and evaluation: CPUs and torch threads")
    gpus: float = Field(default=0, ge=0, description="GPUs of each stage that computes on a model")
    readers: int = Field(default=2, ge=1, description="reader actors per training; never changes results")


class CampaignSpec(Section):
    """A campaign: data, clean model, attacks, forget set, method, and the axes of the ablation."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", description="also the MLflow experiment")
    description: str = ""
    seed: int = Field(default=0, ge=0, description="poison plan, forget sets, triggers and training orders")
    data: Data
    model: Model
    attacks: dict[str, Attack] = Field(min_length=1)
    poison: Poison
    forget: Forget = Forget()
    unlearning: Unlearning = Unlearning()
    alpha: list[Alpha] = Field(
        default=[round(0.05 * i, 2) for i in range(21)], min_length=1, description="the path of α"
    )
    evaluation: Evaluation = Evaluation()
    search: Search = Search()
    resources: Resources = Resources()

    @model_validator(mode="after")
    def _consistent(self) -> CampaignSpec:
        from tbar_ray.naming import nearest

        listed = self.search.axes.get("attack", [])
        for name in listed if isinstance(listed, list) else []:
            if name not in self.attacks:
                raise ValueError(f"search.axes.attack: {name!r} is not under 'attacks'{nearest(name, self.attacks)}")
        if "attack" not in self.search.axes and len(self.attacks) > 1:
            raise ValueError("search.axes: several attacks but no axis 'attack'; list those to run")
        if "poisoning_rate" in self.search.axes and self.poison.rate is None:
            raise ValueError("search.axes.poisoning_rate: set poison.rate, not poison.count")
        return self
