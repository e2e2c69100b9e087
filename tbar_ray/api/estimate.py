"""Finding the edit that a method makes, walking its strength, applying it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from torch import Tensor

from tbar_ray.api.backdoor import Backdoor
from tbar_ray.api.beside import Beside
from tbar_ray.api.classes import Classes
from tbar_ray.api.held import clean_images_of, read_held, require
from tbar_ray.api.images import Images
from tbar_ray.api.model import Model
from tbar_ray.api.progress import reporting
from tbar_ray.api.requests import ForgetRequest, PairsRequest
from tbar_ray.api.walk import Walk
from tbar_ray.errors import DataError, SpecError
from tbar_ray.evaluation.normalised_images import NormalisedImages, statistics_batches
from tbar_ray.evaluation.scores import Scores, score
from tbar_ray.evaluation.selection import AlphaPoint, Preference
from tbar_ray.models.statistics import Statistics, estimate_statistics, has_statistics, put_statistics
from tbar_ray.models.statistics_choice import StatisticsChoice
from tbar_ray.training.loop import Progress
from tbar_ray.training.record import TrainingRecord
from tbar_ray.unlearning.alpha_walk import DEFAULT_ALPHAS, AlphaSearch, walk_alpha
from tbar_ray.unlearning.base import Unlearner
from tbar_ray.unlearning.edit import Edit, EditedModel
from tbar_ray.unlearning.edit_scores import EditScores
from tbar_ray.unlearning.reader import labelled_sets
from tbar_ray.unlearning.registry import UNLEARNERS, build_unlearner


@dataclass(eq=False)
class Estimate:
    """An edit, and the model that it was found for: τ.

    Attributes:
        model: the infected model, unchanged.
        method: the method with its parameters.
        classes: the classes that it was given.
        edit: the change: `edit.vector` of the weights, and for some methods a classifier or learned tokens.
        cost: steps, samples and seconds that finding it took.
        facts: further results of the method, such as thresholds.
        backdoor: what the method was told of the attack.
        keys: of the samples that the method was given, by their use (`triggered`, `clean`, `clean pairs`, …).
        clean_images: the defender's clean images, uint8 [N, 3, H, W], on which running statistics (BatchNorm) of the
            edited model are re-estimated: clean pairs, else the forget set before stamping; None where there are none.
    """

    model: Model
    method: Unlearner
    classes: Classes
    edit: Edit
    cost: TrainingRecord
    facts: Mapping[str, object] = field(default_factory=dict)
    backdoor: Backdoor | None = None
    clean_images: Tensor | None = None
    keys: Mapping[str, Sequence[str]] = field(default_factory=dict)
    _spent: bool = field(default=False, init=False)

    def __repr__(self) -> str:
        return f"Estimate({self.method.name}, ‖τ‖ = {self.edit.vector.norm():.4g}, {self.cost.seconds:.1f} s)"

    @property
    def alphas(self) -> tuple[float, ...]:
        """The default grid of `walk`; only 1 for a method whose published form is α = 1."""
        return DEFAULT_ALPHAS if self.method.strength == "negation" else (1.0,)

    def walk(
        self,
        images: Images,
        alphas: Sequence[float] | None = None,
        *,
        backdoor: Backdoor | None = None,
        min_retention: float = 0.95,
        max_asr: float | None = None,
        prefer: Preference = "accuracy",
        search: AlphaSearch = "grid",
        statistics: StatisticsChoice = "reestimated",
        infected: Scores | None = None,
        progress: Callable[[int], None] | None = None,
    ) -> Walk:
        """Score the edited model at every α on validation images and select one, by the rule of campaigns.

        Args:
            images: validation images; report on others.
            alphas: strengths ≥ 0; None for `alphas` of this estimate.
            backdoor: the backdoor whose ASR is measured; None for the one that the method was given.
            min_retention: share of the infected model's CA that must be kept.
            max_asr: ASR at which the backdoor counts as removed. None: the least.
            prefer: which of the α that remove it is selected: the one with most CA, or the strongest, for a found
                trigger, which goes at a smaller α than the attacker's.
            search: "bisection" scores about log2 of the α.
            statistics: of a model with running statistics (BatchNorm): "reestimated" scores it with those of its edited
                weights and beside them (`Walk.as_applied`) with those that the edit leaves; "as_applied" only so.
            infected: the infected model's own scores on these images, where they are known already.
            progress: called with the number of α that were scored, after each.

        Raises:
            SpecError: if there is no α, one is negative, no backdoor is known, or the edit was applied in place.
            DataError: if the target is no class of the images, they are all of the target class, or statistics cannot
                be re-estimated for want of clean images.
        """
        grid = self.alphas if alphas is None else tuple(float(alpha) for alpha in alphas)
        backdoor = backdoor or self.backdoor
        if not grid or min(grid) < 0:
            raise SpecError(f"walk: alphas are numbers of at least 0, not {list(grid)}")
        if backdoor is None:
            raise SpecError(f"walk: {self.method.name} was given no backdoor; give walk backdoor=Backdoor(…)")
        target, preprocess = images.classes.index(backdoor.target), self.model.preprocessing
        split = images.load(backdoor.trigger, preprocess)
        head = self._head_for(images.classes)
        scores = EditScores(
            EditedModel(self.model.module, self.edit, head),
            self.method.coefficient,
            lambda moved: images.classes.prompts(self.model.tokenizer).head(moved),
            lambda: split,
            target,
            preprocess,
            (infected or score(self.model.module, head, split, target, preprocess)).to_dict(),
            self.model.device,
            statistics,
            self._clean_batches if self._reestimates("walk", statistics) else None,
        )

        def point(alpha: float) -> AlphaPoint:
            found = scores.point(alpha)
            if progress is not None:
                progress(len(scores.path))
            return found

        walked = walk_alpha(scores, grid, min_retention, max_asr, search, point, prefer)
        return Walk.of(walked, scores, min_retention, max_asr, prefer)

    def apply(
        self, alpha: float = 1.0, *, in_place: bool = False, statistics: StatisticsChoice = "reestimated"
    ) -> Model:
        """The model with the edit applied at α; α = 0 is the infected model.

        Weights become θ_b + coefficient(α)·τ, where the coefficient is −α for methods that subtract (TBAR) and α for
        those that interpolate or have no strength. A classifier or learned tokens of the edit come with the model
        (`Model.beside`): the classifier is mixed with the infected model's by α, the tokens are there or not. They are
        used by `predict` and `evaluate`, and written by `save`; `module` alone does not contain them.

        Running statistics (BatchNorm) are re-estimated on `clean_images` for the edited weights, unless α = 0.

        Args:
            alpha: the strength.
            in_place: change the infected model's own weights instead of a copy's, which saves memory; the estimate can
                then be neither applied nor walked again.
            statistics: "as_applied" keeps the running statistics that the edit leaves, which are not those of the
                edited weights and can mask a backdoor.

        Raises:
            SpecError: if α is negative, or the edit was applied in place before.
            DataError: if statistics cannot be re-estimated for want of clean images.
        """
        if not alpha >= 0:  # NaN compares false
            raise SpecError(f"apply: α must be at least 0, not {alpha}")
        coefficient = self.method.coefficient(alpha)
        edited = EditedModel(self.model.module, self.edit, self._head_for(self.classes))
        found: Statistics = {}
        changed: dict[str, Tensor] = {}
        with edited.at(coefficient) as (moved, head):
            if coefficient != 0 and self._reestimates("apply", statistics):
                found = estimate_statistics(moved, self._clean_batches())
            if in_place:
                edited.settle()
            else:
                live = moved.state_dict()
                changed = {key: live[key].detach().clone() for key in self.edit.vector.moved}
        cleaned = self.model if in_place else self.model.copy()
        cleaned.module.load_state_dict(changed, strict=False)
        put_statistics(cleaned.module, found)
        self._spent = in_place
        moved_by = Beside()
        if coefficient != 0:
            own = self.edit.head is not None
            moved_by = Beside(head if own else None, self.classes.names if own else (), self.edit.prompts)
        return replace(cleaned, beside=moved_by)

    def _reestimates(self, what: str, statistics: StatisticsChoice) -> bool:
        """Whether statistics are to be re-estimated."""
        if statistics == "as_applied" or not has_statistics(self.model.module):
            return False
        if self.clean_images is None:
            raise DataError(
                f"{what}: running statistics are to be re-estimated on clean images, and {self.method.name} "
                "was given none; give estimate clean=pairs(SOURCE), or statistics='as_applied'"
            )
        return True

    def _clean_batches(self) -> NormalisedImages:
        assert self.clean_images is not None
        return statistics_batches(self.clean_images, self.model.preprocessing, self.model.device)

    def _head_for(self, classes: Classes) -> Tensor:
        """The infected model's classifier; a SpecError once it is overwritten, or for other classes than the edit's."""
        if self._spent:
            raise SpecError(
                "the edit was applied in place: the infected model is overwritten; load it and estimate again"
            )
        if self.edit.head is not None and classes.names != self.classes.names:
            raise SpecError(f"{self.method.name} made a classifier for other classes; evaluate on those")
        return self.model.head(classes)


def estimate(
    model: Model,
    method: str = "tbar",
    *,
    classes: Classes,
    backdoor: Backdoor | None = None,
    forget: ForgetRequest | None = None,
    clean: PairsRequest | None = None,
    training: PairsRequest | None = None,
    seed: int = 0,
    progress: bool | Progress = False,
    **parameters: object,
) -> Estimate:
    """Find the edit that a method makes to remove a backdoor. The model is not changed.

    Args:
        model: the infected model.
        method: one of `list_methods()`.
        classes: the classes that the model is used for.
        backdoor: trigger and target, for methods that know the attack.
        forget: `forget_set(…)`, for methods that stamp the trigger themselves.
        clean: `pairs(…)` that are trusted.
        training: `pairs(…)` of the attacker's training data, with the poisoned ones among them, unmarked.
        seed: seed of every choice and draw.
        progress: True for a bar, or a callable given (step, total steps, loss, images per second).
        **parameters: of the method, e.g. `steps=20, learning_rate=1e-5`; `tbar method show NAME` lists them.

    Raises:
        SpecError: if the method or a parameter is unknown or out of range.
        DataError: if something that the method needs is missing, or a source has too few samples.
        ScientificError: if the method diverges or finds nothing to act on.
    """
    unlearner = build_unlearner(method, parameters)
    if model.beside.parts():
        raise SpecError(
            "estimate: the model carries a classifier or tokens of an earlier edit; "
            "estimate on the model before that edit"
        )
    require(unlearner, backdoor, forget, clean, training)
    labelled = labelled_sets(unlearner, 0 if forget is None else forget.clean_fraction)
    held = read_held(model, classes, backdoor, forget, clean, training, seed, labelled=labelled)
    with reporting(progress, method) as report:
        found = unlearner.unlearn(model.module, held.data, model.preprocessing, seed, report)
    return Estimate(
        model,
        unlearner,
        classes,
        found.edit,
        found.record,
        found.facts,
        backdoor,
        clean_images_of(held, seed),
        held.keys,
    )


def list_methods() -> tuple[str, ...]:
    """Names of the unlearning methods that `estimate` and the spec accept."""
    return tuple(UNLEARNERS)
