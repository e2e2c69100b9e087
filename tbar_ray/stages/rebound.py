"""Rebound: a cleaned model, or one that it is compared with, fine-tuned on clean pairs and scored on the way."""

from __future__ import annotations

import json
import shutil
from typing import Annotated, Any, ClassVar

from tbar_ray.lasting.options import ReboundOptions
from tbar_ray.later import LATER
from tbar_ray.models.architectures import image_size
from tbar_ray.stages.alpha_path import PATH, AlphaPath
from tbar_ray.stages.clean_pairs import defenders_keys, unused_pairs
from tbar_ray.stages.evaluate import AttackGate, Evaluate
from tbar_ray.stages.infected import InfectedNode
from tbar_ray.stages.node import Policy, Stage, StageContext
from tbar_ray.stages.subject import subject_of
from tbar_ray.stages.training import progress_of

REBOUND = "rebound.json"


class MeasureRebound(Stage):
    """Clean contrastive fine-tuning of one model, with its scores on the test split at some steps.

    The model is the scorer's, or with `path` the same cleaned at the α that was selected. Models that have nothing to
    do with a trial's method (the infected one, the clean one) are measured once for all of its trials.
    """

    kind: ClassVar[str] = "rebound"
    trains: ClassVar[bool] = True
    on_model: ClassVar[bool] = True

    scorer: Evaluate
    """Says model, evaluation set, split and trigger."""
    gate: AttackGate
    """Of an attack that did not take nothing can come back."""
    infected: InfectedNode
    """Whose corpus gives the pairs, and whose attacker poisoned some."""
    path: AlphaPath | None = None
    options: ReboundOptions
    pairs: int
    seed: int
    eligible_only: Annotated[bool, LATER] = False
    """Whether a model whose backdoor is still there is left alone."""

    @property
    def title(self) -> str:
        """The model (of an uncleaned one its role and the trigger), and the learning rate."""
        uncleaned = f"the {self.scorer.role} model ({self.scorer.backdoor.trigger})"
        of = uncleaned if self.path is None else self.path.unlearn.title
        return f"rebound of {of} at learning rate {self.options.learning_rate:g}"

    @property
    def work(self) -> int:
        """Images that training sees."""
        return self.options.steps * self.options.batch_size

    def memory(self, policy: Policy) -> int:
        """Those of the model's training, and the images of the pairs."""
        return super().memory(policy) + self.pairs * 3 * image_size(self.scorer.model.architecture) ** 2

    def run(self, context: StageContext) -> dict[str, Any]:
        """Fine-tune, score on the way, and write the curve; an empty one where there is nothing to follow."""
        if self.eligible_only:
            return self._run_if_eligible(context)
        from tbar_ray.lasting.rebound import measure_rebound
        from tbar_ray.stages.runtime import device_for

        store, content, facts = context.store, dict[str, Any](), dict[str, Any]()
        with subject_of(self.scorer, self.path, store, device_for(context.policy)) as subject:
            if subject is not None:
                used = frozenset[str]() if self.path is None else defenders_keys(self.path.unlearn, store)
                held = unused_pairs(self.infected, self.scorer, self.pairs, self.seed, used, store, subject.preprocess)
                if len(held.keys) < self.pairs:
                    few = f"only {len(held.keys):,} of {self.pairs:,} clean pairs are left"
                    context.report({"note": f"{few}; {held.naming:,} others name the target"})
                curve = measure_rebound(
                    subject.model,
                    held.pairs,
                    subject.score,
                    self.options,
                    subject.preprocess,
                    self.seed,
                    progress_of(context.report),
                )
                content = {
                    "points": [{"step": step, "scores": scores.to_dict()} for step, scores in curve.scores.items()],
                    "reestimated": None if curve.reestimated is None else curve.reestimated.to_dict(),
                }
                facts = {"training": curve.record.to_dict(), "pairs": len(held.keys), "naming": held.naming}
        (context.out / REBOUND).write_text(json.dumps(content, indent=1))
        return facts

    @property
    def of_every_model(self) -> MeasureRebound:
        """The same of a model whether or not its backdoor is gone; of one whose is, it computes the same."""
        return self.model_copy(update={"eligible_only": False})

    def _run_if_eligible(self, context: StageContext) -> dict[str, Any]:
        """Leave a model alone whose backdoor is still there; take the curve of another from the store if it has it."""
        from tbar_ray.evaluation.rebound import is_eligible

        assert self.path is not None, "only cleaned models are left alone"
        store, whole = context.store, self.of_every_model
        test = json.loads((store.fetch(self.path.artifact, PATH) / PATH).read_text())["test"]
        if test is not None and not is_eligible(asr := test["asr"]["value"]):
            context.report({"note": f"not fine-tuned: ASR {asr:.1%}, the backdoor is still there"})
            (context.out / REBOUND).write_text("{}")
            return {"still_there": asr}
        if store.has(whole.artifact):
            shutil.copy(store.fetch(whole.artifact, REBOUND) / REBOUND, context.out)
            return dict(store.facts(whole.artifact)["facts"])
        return whole.run(context)
