"""Scoring a model on both splits, and the gate: an attack that did not take is reported before any defence."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from tbar_ray.errors import ScientificError
from tbar_ray.stages.backdoor import Backdoor
from tbar_ray.stages.data import Located
from tbar_ray.stages.infected import GivenInfectedModel
from tbar_ray.stages.models import ModelNode
from tbar_ray.stages.node import INSIGNIFICANT, Node, Stage, StageContext
from tbar_ray.stages.samples import open_evaluation
from tbar_ray.store.store import Store

if TYPE_CHECKING:
    from pathlib import Path

    import torch
    from torch import Tensor, nn

    from tbar_ray.data.evaluation_set import EvaluationSet
    from tbar_ray.evaluation.scores import Predictions, Split
    from tbar_ray.evaluation.splits import Part, Splits
    from tbar_ray.models.factory import Preprocessing
    from tbar_ray.stages.retrieval import ScoredRetrieval
    from tbar_ray.triggers.base import Trigger

SCORES = "scores.json"
PREDICTIONS = "predictions.npz"


class Evaluate(Stage):
    """Every score of one model against one backdoor, on the validation and the test split."""

    kind: ClassVar[str] = "scores"
    version: ClassVar[int] = 4
    on_model: ClassVar[bool] = True

    role: Annotated[str, INSIGNIFICANT]
    """'clean' or 'infected', for tables only."""
    model: ModelNode
    evaluation: Node
    retrieval: Node | None = None
    backdoor: Backdoor
    templates: Literal["evaluation", "openai"]
    validation_fraction: float
    max_images: int | None
    split_seed: int

    @property
    def title(self) -> str:
        """Role of the scored model, and the trigger."""
        return f"score the {self.role} model ({self.backdoor.trigger})"

    @property
    def work(self) -> int:
        """Images of both splits, clean and triggered; 0 if the set is not limited."""
        return 2 * (self.max_images or 0)

    def run(self, context: StageContext) -> dict[str, Any]:
        """Score both splits, and retrieval where there is a set for it."""
        from tbar_ray.evaluation.scores import predict_split, score_predictions
        from tbar_ray.stages.runtime import device_for

        device = device_for(context.policy)
        data = self.open_data(context.store)
        target = data.class_index(self.backdoor.target_in(context.store))
        trigger = self.backdoor.build(context.store)
        model, head, preprocess = self.load_model(context.store, device, data)
        scores: dict[str, Any] = {}
        lost = list(data.lost)
        parts: tuple[Part, ...] = ("validation", "test")
        for done, name in enumerate(parts, start=1):
            split = self.load_split(data, name, trigger, preprocess)
            predictions = predict_split(model, head, split, preprocess)
            scores[name] = score_predictions(predictions, split.labels, target).to_dict()
            lost += split.lost
            context.report({"done": done, "total": 2})
        save_predictions(context.out, split, predictions, target)
        if self.retrieval is not None:
            scores["retrieval"], missing = self.score_retrieval(context.store, model, trigger, preprocess)
            lost += missing
        (context.out / SCORES).write_text(json.dumps(scores, indent=1))
        return {"lost": lost}

    def open_data(self, store: Store) -> EvaluationSet:
        """The evaluation set; from this process's cache if it is there."""
        from tbar_ray.stages.kept import kept

        assert isinstance(self.evaluation, Located)
        key = ("evaluation set", self.evaluation.fingerprint, self.evaluation.url(store))
        return kept().get(key, lambda: open_evaluation(self.evaluation, store))

    def load_model(
        self, store: Store, device: torch.device, data: EvaluationSet
    ) -> tuple[nn.Module, Tensor, Preprocessing]:
        """The model that is scored, its zero-shot head [C, D] and its preprocessing; cached in this process."""
        from tbar_ray.models.factory import preprocessing
        from tbar_ray.stages.kept import kept, kept_model

        model = kept_model(self.model, store, device)
        key = ("head", self.model.fingerprint, self.evaluation.fingerprint, self.templates, str(device))
        return model, kept().get(key, lambda: self.head_of(model, data)[0]), preprocessing(model)

    def head_of(self, model: nn.Module, data: EvaluationSet) -> tuple[Any, Preprocessing]:
        """Zero-shot head [C, D] of a model of this architecture, and its preprocessing; made anew."""
        from tbar_ray.evaluation.class_prompts import ClassPrompts
        from tbar_ray.models.factory import preprocessing

        prompts = ClassPrompts.of(data, self.model.architecture, self.templates)
        return prompts.head(model), preprocessing(model)

    @property
    def splits(self) -> Splits:
        """How the evaluation set is cut into validation and test."""
        from tbar_ray.evaluation.splits import Splits

        return Splits(self.validation_fraction, self.max_images, self.split_seed)

    def load_split(self, data: EvaluationSet, name: Part, trigger: Trigger, preprocess: Preprocessing) -> Split:
        """The 'validation' or 'test' split, clean and triggered; from this process's cache if it is there."""
        from tbar_ray.evaluation.splits import load_split
        from tbar_ray.stages.kept import kept

        key = ("split", self.evaluation.fingerprint, self.backdoor.fingerprint, self.splits, name, preprocess)
        return kept().get(key, lambda: load_split(data, self.splits.positions(data, name), trigger, preprocess))

    def score_retrieval(
        self, store: Store, model: nn.Module, trigger: Trigger, preprocess: Preprocessing
    ) -> ScoredRetrieval:
        """Recall and caption-ASR on the retrieval set, and what of it could not be read."""
        from tbar_ray.data.retrieval_set import RetrievalSet
        from tbar_ray.stages.retrieval import score_retrieval

        assert isinstance(self.retrieval, Located)
        data = RetrievalSet.open(self.retrieval.url(store), policy=self.retrieval.policy)
        return score_retrieval(data, model, self.model.architecture, trigger, self.backdoor.target, preprocess)


def save_predictions(out: Path, split: Split, predictions: Predictions, target: int) -> None:
    """Write a model's predictions on the test split, for paired tests between methods and sheets of images.

    Arrays by name: `labels`, `clean`, `triggered` [N] (the true classes and the answers to both images) and `target`;
    of the triggered images the three most probable classes `likely` [N, 3] and their `probabilities` [N, 3], float32.
    Classes of `likely` have the smallest integers that hold them, one byte for up to 256 classes, two for up to 65,536:
    `likely` and `probabilities` are 15 or 18 bytes an image before compression, less than 1 MB for 50,000 images.
    """
    import numpy as np

    likely = predictions.likely.numpy()
    np.savez_compressed(
        out / PREDICTIONS,
        labels=split.labels.numpy(),
        clean=predictions.clean.numpy(),
        triggered=predictions.triggered.numpy(),
        target=np.array(target),
        likely=likely.astype(np.min_scalar_type(int(likely.max()))),
        probabilities=predictions.probabilities.numpy(),
    )


class AttackGate(Stage):
    """Passes only if the infected model answers with the target and is otherwise intact (validation split)."""

    kind: ClassVar[str] = "gate"

    clean: Evaluate | None
    """None where there is no clean model to compare with."""
    infected: Evaluate
    min_asr: float
    max_ca_drop: float

    @property
    def title(self) -> str:
        """The question that the gate answers, and the trigger."""
        return f"did the attack take ({self.infected.backdoor.trigger})"

    def run(self, context: StageContext) -> dict[str, Any]:
        """Compare; raise ScientificError if the attack did not take."""
        scores = {
            role: json.loads((context.store.fetch(stage.artifact, SCORES) / SCORES).read_text())["validation"]
            for role, stage in (("clean", self.clean), ("infected", self.infected))
            if stage is not None
        }
        asr, ca = scores["infected"]["asr"]["value"], scores["infected"]["ca"]["value"]
        of_clean = f" (clean model: {scores['clean']['asr']['value']:.1%})" if self.clean is not None else ""
        if asr < self.min_asr:
            advice = (
                "check its trigger and target, or lower poison.min_asr"
                if isinstance(self.infected.model, GivenInfectedModel)
                else "raise poison.rate, epochs or learning rate"
            )
            raise ScientificError(
                f"attack did not take: validation ASR {asr:.1%} of the infected model is below poison.min_asr "
                f"{self.min_asr:.0%}{of_clean}; {advice}"
            )
        if self.clean is not None and (clean_ca := scores["clean"]["ca"]["value"]) - ca > self.max_ca_drop:
            raise ScientificError(
                f"attack broke the model: validation CA fell from {clean_ca:.1%} to {ca:.1%}, more than "
                f"poison.max_ca_drop {self.max_ca_drop:.1%}; lower the poisoning learning rate"
            )
        return {"asr": asr, "ca": ca}
