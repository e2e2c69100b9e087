"""The path of α: scaling coefficients on validation, the selected one on test."""

from __future__ import annotations

import json
import time
from bisect import bisect_left
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache, partial
from typing import TYPE_CHECKING, Any, ClassVar

from tbar_ray.campaign.node import Stage, StageContext
from tbar_ray.campaign.stages.evaluate import SCORES, AttackGate, Evaluate, save_predictions
from tbar_ray.campaign.stages.unlearn import Unlearn

if TYPE_CHECKING:
    from torch import Tensor, nn

    from tbar_ray.evaluation.scores import Predictions, Split

PATH = "path.json"


@dataclass(frozen=True)
class AlphaPoint:
    """Validation CA and ASR at one α."""

    alpha: float
    ca: float
    asr: float


class AlphaPath(Stage):
    """One resident model moved along one vector; the end of a trial.

    The vector may come from another model than the one that is moved (transfer).
    """

    kind: ClassVar[str] = "path"
    version: ClassVar[int] = 3

    unlearn: Unlearn
    gate: AttackGate
    infected: Evaluate
    others: tuple[Evaluate, ...] = ()
    """Scores of the same infected model on the other backdoors that it holds."""
    alphas: tuple[float, ...]
    min_retention: float
    max_asr: float | None
    alpha_search: str
    to_beat: float | None = None
    """ASR of an earlier trial: the path is given up if no α that retains enough CA comes below it."""

    @property
    def title(self) -> str:
        """Return the trial's cell."""
        several = f"{len(self.alphas)} α" if len(self.alphas) > 1 else f"α {self.alphas[0]:g}"
        return f"{several} of {self.unlearn.title}"

    @property
    def work(self) -> int:
        """Return the images scored: validation for every α, test once; 0 if the set is not limited."""
        share = self.infected.validation_fraction
        return round(self.infected.work * (len(self.alphas) * share + 1 - share))

    def run(self, context: StageContext) -> dict[str, Any]:
        """Score α on validation (all, or those that a bisection asks for), select, score the selected one on test."""
        import torch

        from tbar_ray.campaign.stages.runtime import device_for
        from tbar_ray.evaluation.alpha_search import search_alpha
        from tbar_ray.evaluation.early import Question, glance
        from tbar_ray.evaluation.scores import predict_split, score_predictions
        from tbar_ray.evaluation.selection import select
        from tbar_ray.unlearning.edit import Edit, EditedModel
        from tbar_ray.unlearning.registry import build_unlearner

        started = time.perf_counter()
        store, scorer = context.store, self.infected
        data = scorer.open_data(store)
        target = data.class_index(scorer.backdoor.target)
        trigger = scorer.backdoor.build(store)
        model = scorer.model.load(store, device_for(self.gpus))
        method = build_unlearner(self.unlearn.method, self.unlearn.parameters)
        head, wants = scorer.head_of(model, data)
        edited = EditedModel(model, Edit.load(store.fetch(self.unlearn.artifact)), head)

        @contextmanager
        def moved_by(alpha: float) -> Iterator[tuple[nn.Module, Tensor]]:
            with edited.at(method.coefficient(alpha)) as (moved, own):
                # an edit of the text tower moves the class embeddings too
                yield moved, scorer.head_of(moved, data)[0] if own is None else own

        def answers(alpha: float, split: Split) -> Predictions:
            with moved_by(alpha) as (moved, classifier):
                return predict_split(moved, classifier, split, wants)

        validation = scorer.load_split(data, "validation", trigger, wants)
        before = json.loads((store.fetch(scorer.artifact) / SCORES).read_text())["validation"]
        reference = before["ca"]["value"]
        path: list[dict[str, Any]] = []

        @cache
        def point(alpha: float) -> AlphaPoint:
            if method.coefficient(alpha) == 0:  # the infected model, which has its scores
                scores = before
            else:
                scores = score_predictions(answers(alpha, validation), validation.labels, target).to_dict()
            path.append({"alpha": alpha, **scores})
            context.report({"done": len(path), "total": len(self.alphas)})
            return AlphaPoint(alpha, scores["ca"]["value"], scores["asr"]["value"])

        glances: list[dict[str, object]] = []

        # on a CPU bf16 gains little, and not on every processor
        reduced = device_for(self.gpus).type == "cuda" and torch.cuda.is_bf16_supported()

        def ended(alpha: float, most_asr: float) -> bool:
            question = Question(self.min_retention * reference, most_asr)
            with moved_by(alpha) as (moved, classifier):
                found = glance(alpha, moved, classifier, validation, target, wants, question, reduced=reduced)
            glances.append(found.to_dict())
            return found.answer

        gone = partial(ended, most_asr=self.max_asr or 0.0)
        monotone: bool | None = None
        dominated = self.to_beat is not None and not self._beats(self.to_beat, point, ended, reference)
        if dominated:
            points, chosen = [], None
        elif self.alpha_search == "bisection":
            found = search_alpha(self.alphas, point, reference, self.min_retention, self.max_asr, gone)
            points, chosen, monotone = list(found.points), found.chosen, found.monotone
            path.sort(key=lambda entry: float(entry["alpha"]))
        else:
            points = [point(alpha) for alpha in self.alphas]
            path.sort(key=lambda entry: self.alphas.index(entry["alpha"]))
            chosen = select(points, reference, self.min_retention, self.max_asr)
        # a single α was asked for by a search or a person: it is reported, feasible or not
        reported = chosen or (points[0] if points and len(self.alphas) == 1 else None)
        result: dict[str, Any] = {
            "path": path,
            "glances": glances,
            "selected": reported.alpha if reported else None,
            "feasible": chosen is not None,
            "reference_ca": reference,
            "monotone": monotone,
            "dominated": dominated,
            "test": None,
        }
        if reported is not None:
            test = scorer.load_split(data, "test", trigger, wants)
            predictions = answers(reported.alpha, test)
            save_predictions(context.out, test, predictions, target)
            scores = score_predictions(predictions, test.labels, target)
            result["test"] = {"alpha": reported.alpha, **scores.to_dict()}
            if scorer.retrieval is not None:
                with edited.at(method.coefficient(reported.alpha)) as (moved, _):
                    result["retrieval"] = scorer.score_retrieval(store, moved, trigger, wants)
            result["others"] = {}
            for other in self.others:
                split = other.load_split(data, "test", other.backdoor.build(store), wants)
                aim = data.class_index(other.backdoor.target)
                other_scores = score_predictions(answers(reported.alpha, split), split.labels, aim)
                result["others"][other.backdoor.fingerprint] = other_scores.to_dict()
        (context.out / PATH).write_text(json.dumps(result, indent=1))
        return {"seconds": time.perf_counter() - started}

    def _beats(
        self,
        asr: float,
        point: Callable[[float], AlphaPoint],
        ended: Callable[[float, float], bool],
        reference: float,
    ) -> bool:
        """Return whether some α that retains enough CA comes below an ASR, on curves that fall with α.

        Bisects by glances for the first α where ASR is at most that or too little CA is left, and scores it in full.
        """
        order = sorted(self.alphas)
        place = bisect_left(range(len(order)), True, key=lambda place: ended(order[place], asr))
        if place < len(order):
            found = point(order[place])
            if found.ca >= self.min_retention * reference and found.asr <= asr:
                return True
        if place:
            point(order[place - 1])  # how far it came, for the record and the search
        return False
