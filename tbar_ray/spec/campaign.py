"""The campaign spec: all fields of the YAML file with their defaults. Unknown keys and impossible values are errors."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from tbar_ray.evaluation.selection import Preference
from tbar_ray.lasting.options import ChangeName
from tbar_ray.models.statistics_choice import STATISTICS_IMAGES, StatisticsChoice
from tbar_ray.spec.attack import Attack, PoisonSpec, Training
from tbar_ray.spec.data import Data, SyntheticPairs, TaskSpec
from tbar_ray.spec.lasting import ReboundSpec
from tbar_ray.spec.search import Search
from tbar_ray.spec.section import Section
from tbar_ray.spec.unlearning import Alpha, Belief, Defender, Forget, Fraction, InversionSpec, Method, Unlearning

MOST_LETTERS = 100
"""Of a name that a spec gives to an attack, a method, a search or a task."""


class ModelSpec(Section):
    """The clean model: pretrained weights, or trained here on the training data, from random or from given weights."""

    architecture: str = Field(
        default="ViT-B-32",
        description="of open_clip, or tbar-GN-pico, tbar-RN-tiny, tbar-ViT-tiny, … (docs/models.md); with `-quickgelu` "
        "or `@imagenet` where it needs them, with `@128px` for images of that side (docs/checkpoints.md)",
    )
    pretrained: str | None = Field(
        default=None, description="an open_clip tag, or a checkpoint: a file or a folder (docs/checkpoints.md)"
    )
    text_from: str | None = Field(
        default=None,
        description="of a checkpoint that holds an image encoder alone: an open_clip tag, or a checkpoint, whose text "
        "tower is added",
    )
    training: Training | None = Field(
        default=None, description="train the clean model on data.train; it starts from 'pretrained' where that is given"
    )
    synthetic: SyntheticPairs | None = Field(
        default=None,
        description="drawn pairs to train the clean model on, instead of data.train: data of its own, as public "
        "weights have",
    )
    samples_seen: int | None = Field(
        default=None,
        ge=1,
        description="samples that the weights of a file were trained on, for the growth figure; tags need none",
    )

    @model_validator(mode="after")
    def _seen_by_given_weights(self) -> ModelSpec:
        if self.samples_seen is not None and self.pretrained is None:
            raise ValueError("'samples_seen' is of given weights: give 'pretrained' too")
        if self.text_from is not None and self.pretrained is None:
            raise ValueError("'text_from' is of given weights: give 'pretrained' too")
        if self.synthetic is not None and self.training is None:
            raise ValueError("'synthetic' is what the clean model is trained on: give 'training' too")
        return self


class Evaluation(Section):
    """How α is chosen and models are scored."""

    templates: Literal["evaluation", "openai"] = Field(
        default="evaluation", description="prompts of the zero-shot head: the evaluation set's, or OpenAI's 80"
    )
    validation_fraction: float = Field(default=0.5, gt=0, lt=1, description="share of images that choose α")
    min_retention: float = Field(default=0.95, ge=0, le=1, description="share of the infected model's CA to keep")
    max_asr: float | None = Field(
        default=None,
        ge=0,
        le=1,
        description="ASR that counts as removed: of such α, one is chosen as 'prefer' says",
    )
    prefer: Preference = Field(
        default="accuracy",
        description="of the α that remove the backdoor: the one with most CA, or the strongest, for a removal "
        "that lasts and for a found trigger, which goes sooner than the attacker's; 'strength' needs "
        "alpha_search: grid",
    )
    max_images: int | None = Field(default=None, ge=1, description="use at most this many images of the set")
    split_seed: int | None = Field(
        default=None,
        ge=0,
        description="seed of the cut into validation and test; null: the campaign's seed, also where 'seed' is an axis",
    )
    alpha_search: Literal["grid", "bisection"] = Field(
        default="grid",
        description="bisection: score about log2 of the α, the grid's choice up to noise; all if CA or ASR rise with α",
    )
    statistics: StatisticsChoice = Field(
        default="reestimated",
        description="running statistics (BatchNorm) of an edited model on which α is selected: re-estimated on clean "
        "images of the defender, or those that the edit leaves; both are scored. Nothing to do without such statistics",
    )
    statistics_images: int = Field(
        default=STATISTICS_IMAGES, ge=2, description="clean unlabelled images of the defender for them, at most"
    )
    rebound: ReboundSpec | None = Field(
        default=None, description="whether the backdoor comes back under clean fine-tuning; null: not measured"
    )
    downstream: list[ChangeName] = Field(
        default=[], description="changes of the cleaned model that people make, each scored by itself (docs/metrics.md)"
    )

    @model_validator(mode="after")
    def _strongest_of_all(self) -> Evaluation:
        if self.prefer == "strength" and self.alpha_search == "bisection":
            raise ValueError(
                "'prefer: strength' scores every α: bisection stops at the first that removes the backdoor; set "
                "alpha_search to grid"
            )
        return self


class DisentanglementSpec(Section):
    """The map of the weight disentanglement error ξ(α_c, α_t) of every attack."""

    points: int = Field(default=25, ge=2, le=101, description="grid points per side")
    low: float = Field(default=-3, description="least α_c and α_t")
    high: float = Field(default=3, description="largest α_c and α_t")
    images: int = Field(default=600, ge=1, description="images of each kind, clean and triggered")
    samples: int = Field(default=2000, ge=1, description="training images of each of the two vectors")
    clean_fraction: Fraction = Field(
        default=0.0,
        description="share of clean images in the trigger vector's training; without any, it learns to answer every "
        "image with the target",
    )
    training: Training = Field(default=Training(), description="the training of both vectors")

    @model_validator(mode="after")
    def _in_memory(self) -> DisentanglementSpec:
        if self.training.augmentation is not None or self.training.micro_batch is not None:
            raise ValueError("training: augmentation and micro_batch are for trainings on shards")
        return self

    @model_validator(mode="after")
    def _ordered(self) -> DisentanglementSpec:
        if not self.low < self.high:
            raise ValueError(f"low {self.low} is not below high {self.high}")
        return self


class Resources(Section):
    """Resources of each kind of stage; threads also decide the last bits of CPU results."""

    training_cpus: int = Field(default=2, ge=1, description="pretraining and poisoning: CPUs and torch threads")
    trial_cpus: int = Field(default=1, ge=1, description="unlearning and evaluation: CPUs and torch threads")
    gpus: float = Field(
        default=0, ge=0, description="GPUs of each stage that computes on a model; a fraction: several share one"
    )
    training_gpus: float | None = Field(
        default=None, ge=0, description="GPUs of pretraining and poisoning (of each worker); null: as 'gpus'"
    )
    training_workers: int = Field(
        default=1,
        ge=1,
        description="pretraining and poisoning: processes that divide every batch, each with training_cpus, gpus and "
        "readers of its own; results agree up to rounding (docs/scale.md)",
    )
    max_cpus: int | None = Field(
        default=None, ge=1, description="CPUs that the campaign's stages hold at a time, at most; null: no limit"
    )
    max_gpus: float | None = Field(
        default=None, gt=0, description="GPUs that the campaign's stages hold at a time, at most; null: no limit"
    )
    readers: int = Field(default=2, ge=1, description="reader actors per training; never changes results")
    checkpoint_minutes: float = Field(
        default=5,
        ge=0,
        description="minutes between checkpoints of a training on shards; a stopped one continues from the last",
    )


class CampaignSpec(Section):
    """A campaign: data, clean model, attacks, forget set, method, and the axes of the ablation."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=200, description="also the MLflow experiment")
    description: str = Field(default="", description="one line on what the campaign is for; changes no result")
    seed: int = Field(default=0, ge=0, description="poison plan, forget sets, triggers and training orders")
    data: Data = Field(description="training pairs and evaluation set")
    model: ModelSpec = Field(description="the clean model")
    tasks: dict[str, TaskSpec] = Field(default_factory=dict, description="labelled sets of the single-task setting")
    attacks: dict[str, Attack] = Field(min_length=1, description="the backdoors, by a name of your choice")
    attack: str | None = Field(default=None, description="the attack to remove; null: the only one, or the axis's")
    source: str | None = Field(
        default=None, description="attack whose vector is applied (transfer); null: that of the model's own attack"
    )
    poison: PoisonSpec = Field(default=PoisonSpec(), description="how the backdoors are planted")
    forget: Forget = Field(default=Forget(), description="the forget set")
    defender: Defender = Field(default=Defender(), description="what the defender has and knows")
    unlearning: Unlearning = Field(default=Unlearning(), description="the method, where the axis `method` names none")
    methods: dict[str, Method] = Field(default_factory=dict, description="methods with parameters of their own")
    inversions: dict[str, InversionSpec] = Field(
        default_factory=dict, description="searches for the trigger with parameters of their own"
    )
    beliefs: dict[str, dict[str, Belief]] = Field(
        default_factory=dict, description="what a defender may take for the triggers: a name, and the trigger by attack"
    )
    alpha: list[Alpha] = Field(
        default=[round(0.05 * i, 2) for i in range(21)], min_length=1, description="the path of α"
    )
    evaluation: Evaluation = Field(default=Evaluation(), description="how α is chosen and models are scored")
    disentanglement: DisentanglementSpec | None = Field(
        default=None, description="map of ξ for every attack; null: none"
    )
    search: Search = Field(default=Search(), description="what varies, and how it is searched")
    resources: Resources = Field(default=Resources(), description="CPUs, GPUs and readers of the stages")

    @model_validator(mode="after")
    def _consistent(self) -> CampaignSpec:
        from tbar_ray.naming import nearest

        for section in ("attacks", "methods", "inversions", "beliefs", "tasks"):
            for name in getattr(self, section):
                if not 1 <= len(name.strip()) <= MOST_LETTERS:  # MLflow has no longer names of parameters
                    raise ValueError(f"{section}: a name has 1 to {MOST_LETTERS} letters, unlike {name[:20]!r}")
        for field in ("attack", "source"):
            name = getattr(self, field)
            if name is not None and name not in self.attacks:
                raise ValueError(f"{field}: {name!r} is not under 'attacks'{nearest(name, self.attacks)}")
        if self.attack is None and "attack" not in self.search.axes and len(self.attacks) > 1:
            raise ValueError("search.axes: several attacks but no axis 'attack'; list those to run")
        planted = {name: attack for name, attack in self.attacks.items() if attack.infected is None}
        if self.model.pretrained is None and self.model.training is None and (planted or self.disentanglement):
            raise ValueError(
                "model: give 'pretrained' (a tag or a file) or 'training' (train it here); without a clean model "
                "every attack needs 'infected', and there is no disentanglement map"
            )
        for name, attack in planted.items():
            amounts = (self.poison.rate, self.poison.count, attack.poison.rate, attack.poison.count)
            if all(amount is None for amount in amounts):
                raise ValueError(f"poison: give either 'rate' or 'count', or 'infected' in attacks.{name}")
        for name, attack in self.attacks.items():
            training = attack.poison.training or self.poison.training
            if training.micro_batch is not None and (attack.task or attack.planting.method != "standard"):
                raise ValueError(f"attacks.{name}: micro_batch is for pairs and planting 'standard'")
            merged = attack.merge.tasks if attack.merge else []
            for task in [*([attack.task] if attack.task else []), *merged]:
                if task not in self.tasks:
                    raise ValueError(f"attacks.{name}: task {task!r} is not under 'tasks'{nearest(task, self.tasks)}")
            if attack.merge and attack.task is None:
                raise ValueError(f"attacks.{name}.merge: merging is of the single-task setting; give 'task' as well")
            if attack.task in merged:
                raise ValueError(f"attacks.{name}.merge.tasks: {attack.task!r} is the attack's own task")
        if self.poison.plant == "together":
            if len(planted) < len(self.attacks):
                raise ValueError("poison.plant: nothing is planted in a given infected model; plant 'separately'")
            tasks = {attack.task for attack in self.attacks.values()}
            plantings = {attack.planting.method for attack in self.attacks.values()}
            if len(tasks) > 1 or plantings != {"standard"}:
                raise ValueError("poison.plant: attacks planted together share one task and planting 'standard'")
        return self
