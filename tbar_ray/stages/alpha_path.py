"""The path of α: scaling coefficients on validation, the selected one on test."""

from __future__ import annotations

import json
import time
from bisect import bisect_left
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from tbar_ray.evaluation.selection import Preference
from tbar_ray.later import LATER
from tbar_ray.models.statistics_choice import StatisticsChoice
from tbar_ray.stages.evaluate import AttackGate, Evaluate
from tbar_ray.stages.node import Stage, StageContext
from tbar_ray.stages.unlearn import Unlearn
from tbar_ray.store.store import Store

if TYPE_CHECKING:
    import torch

    from tbar_ray.evaluation.selection import AlphaPoint
    from tbar_ray.stages.alpha_scores import AlphaScores
    from tbar_ray.unlearning.edit_scores import EditScores

PATH = "path.json"


class AlphaPath(Stage):
    """One model, kept in memory and moved along one vector; the last stage of a trial.

    The vector may come from another model than the one that is moved (transfer).
    """

    kind: ClassVar[str] = "path"
    version: ClassVar[int] = 4
    on_model: ClassVar[bool] = True

    unlearn: Unlearn
    gate: AttackGate
    infected: Evaluate
    judge: Annotated[Evaluate | None, LATER] = None
    """Scores of the infected model on the trigger that α is selected with, where the defender knows only a proxy."""
    others: tuple[Evaluate, ...] = ()
    """Scores of the same infected model on the other backdoors that it holds."""
    alphas: tuple[float, ...]
    min_retention: float
    max_asr: float | None
    prefer: Annotated[Preference, LATER] = "accuracy"
    alpha_search: Literal["grid", "bisection"]
    statistics: StatisticsChoice
    statistics_images: int
    to_beat: float | None = None
    """ASR of an earlier trial: the path is given up if no α that retains enough CA comes below it."""

    @property
    def title(self) -> str:
        """Number of α, or the only one, and the title of the edit."""
        several = f"{len(self.alphas)} α" if len(self.alphas) > 1 else f"α {self.alphas[0]:g}"
        return f"{several} of {self.unlearn.title}"

    @property
    def work(self) -> int:
        """Images scored: validation for every α, test once; 0 if the set is not limited."""
        share = self.infected.validation_fraction
        return round(self.infected.work * (len(self.alphas) * share + 1 - share))

    def run(self, context: StageContext) -> dict[str, Any]:
        """Score α on validation (all, or those that a bisection asks for), select, score the selected one on test."""
        from tbar_ray.stages.runtime import device_for
        from tbar_ray.unlearning.alpha_walk import Walked, walk_alpha

        started = time.perf_counter()
        models = self.models(context.store, device_for(context.policy))
        scores = models.validation

        def point(alpha: float) -> AlphaPoint:
            found = scores.point(alpha)
            context.report({"done": len(scores.path), "total": len(self.alphas)})
            return found

        dominated = self.to_beat is not None and not self._beats(self.to_beat, point, scores)
        walked = Walked((), None)
        if not dominated:
            walked = walk_alpha(
                scores, self.alphas, self.min_retention, self.max_asr, self.alpha_search, point, self.prefer
            )
        # a single α was requested: it is reported, feasible or not
        reported = walked.chosen or (walked.points[0] if walked.points and len(self.alphas) == 1 else None)
        result: dict[str, Any] = {
            "path": scores.path,
            "sequential_tests": scores.sequential_tests,
            "selected": reported.alpha if reported else None,
            "feasible": walked.chosen is not None,
            "reference_ca": scores.reference_ca,
            "statistics": scores.statistics,
            "monotone": walked.monotone,
            "dominated": dominated,
            "test": None,
        }
        if reported is not None:
            result["test"] = models.test(reported.alpha, context.out)
            result["statistics_images"] = models.statistics_images
            if (retrieval := models.retrieval(reported.alpha)) is not None:
                result["retrieval"] = retrieval
            result["others"] = {
                other.backdoor.fingerprint: models.test_of_other(reported.alpha, other) for other in self.others
            }
        (context.out / PATH).write_text(json.dumps(result, indent=1))
        return {"seconds": time.perf_counter() - started}

    def models(self, store: Store, device: torch.device) -> AlphaScores:
        """The infected model moved along the vector to any α."""
        from tbar_ray.stages.alpha_scores import AlphaScores
        from tbar_ray.unlearning.registry import build_unlearner

        coefficient = build_unlearner(self.unlearn.method, self.unlearn.parameters).coefficient
        return AlphaScores(
            store,
            self.infected,
            self.unlearn,
            coefficient,
            device,
            self.statistics,
            self.statistics_images,
            self.judge,
        )

    def _beats(self, asr: float, point: Callable[[float], AlphaPoint], scores: EditScores) -> bool:
        """Whether some α that retains enough CA comes below an ASR, on curves that fall with α.

        Bisects by sequential tests for the first α where ASR is at most that or too little CA is left, and scores it in
        full.
        """
        order, least_ca = sorted(self.alphas), self.min_retention * scores.reference_ca
        place = bisect_left(
            range(len(order)), True, key=lambda place: scores.gone_or_spent(order[place], least_ca, asr)
        )
        if place < len(order):
            found = point(order[place])
            if found.ca >= least_ca and found.asr <= asr:
                return True
        if place:
            point(order[place - 1])  # how far it came, for the record and the search
        return False
