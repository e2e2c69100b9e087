"""Whether a removed backdoor comes back: a cleaned model's scores while it is fine-tuned on clean pairs."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from tbar_ray.api.backdoor import Backdoor
from tbar_ray.api.held import reader_of
from tbar_ray.api.images import Images
from tbar_ray.api.model import Model
from tbar_ray.api.progress import reporting
from tbar_ray.api.requests import PairsRequest
from tbar_ray.errors import SpecError
from tbar_ray.evaluation.rebound import ELIGIBLE, REVIVED, ReboundFigures
from tbar_ray.evaluation.scores import Scores, score
from tbar_ray.lasting.clean_pairs import CleanPairs, read_clean_pairs
from tbar_ray.lasting.options import ReboundOptions
from tbar_ray.lasting.rebound import measure_rebound
from tbar_ray.training.loop import Progress


@dataclass(frozen=True)
class Rebound:
    """Scores of a model while it is fine-tuned on clean pairs, and what they say together.

    Attributes:
        scores: by step, rising from 0, the model as it was given.
        reestimated: at step 0′: running statistics (BatchNorm) re-estimated on the pairs, nothing trained; None for a
            model without them. An ASR that is high here already was masked by stale statistics.
        figures: A_0, A_post, ΔR, AURC and T_.5 (`docs/metrics.md`).
        options: steps, learning rate and batch size.
        pairs: pairs that it was fine-tuned on.
        left_out: pairs that were left out because they show or name the target.
    """

    scores: Mapping[int, Scores]
    reestimated: Scores | None
    figures: ReboundFigures
    options: ReboundOptions
    pairs: int
    left_out: int

    def to_dict(self) -> dict[str, Any]:
        """Everything for JSON: the curve with every rate, the figures of merit, and how it was measured."""
        return {
            "curve": [{"step": step, **scores.to_dict()} for step, scores in self.scores.items()],
            "reestimated": None if self.reestimated is None else self.reestimated.to_dict(),
            "figures": self.figures.to_dict(),
            "options": self.options.model_dump(mode="json"),
            "pairs": self.pairs,
            "left_out": self.left_out,
        }

    def __str__(self) -> str:
        """A table of step, CA, ASR and PA, and a line with the figures of merit."""
        rows = [(str(step), scores) for step, scores in self.scores.items()]
        if self.reestimated is not None:
            rows.insert(1, ("0′", self.reestimated))
        lines = [f"{'step':>6}{'CA':>9}{'ASR':>9}{'PA':>9}"]
        lines += [f"{step:>6}{s.ca.value:>9.1%}{s.asr.value:>9.1%}{s.pa.value:>9.1%}" for step, s in rows]
        if self.reestimated is not None:
            lines.append("0′: running statistics re-estimated, nothing trained")
        return "\n".join([*lines, self.verdict])

    @property
    def verdict(self) -> str:
        """The figures of merit in one line."""
        found = self.figures
        back = "never" if found.revival is None else f"at step {found.revival}"
        line = f"A_post {found.highest:.1%}, ΔR {found.rise:.1%}, AURC {found.area:.1%}, ASR ≥ {REVIVED:.0%} {back}"
        return line if found.eligible else f"{line}; not removed to begin with: A_0 is above {ELIGIBLE:.0%}"


def rebound(
    model: Model,
    images: Images,
    backdoor: Backdoor,
    *,
    clean: PairsRequest,
    steps: int = 300,
    learning_rate: float = 1e-4,
    batch_size: int = 128,
    at: Sequence[int] | None = None,
    seed: int = 0,
    progress: bool | Progress = False,
) -> Rebound:
    """Fine-tune a copy of a model on clean pairs by CLIP's own loss, and score it on the way. The model stays as it is.

    Nobody who cleans a model keeps it frozen: a backdoor that returns within a hundred clean steps was hidden, not
    removed. Measure the clean model, or any model that has no backdoor, beside it: its CA says what the learning rate
    does. A classifier or tokens of the edit (`Model.beside`) stay as they are while the weights move.

    Args:
        model: the cleaned model, as `apply` returns it.
        images: labelled images that had no part in the cleaning.
        backdoor: trigger and target.
        clean: `pairs(…)`, none poisoned and none of the forget set. Those that show or name the target are left out
            with a warning: they would teach it anew.
        steps: of fine-tuning.
        learning_rate: of AdamW, constant.
        batch_size: pairs in a step.
        at: steps at which the model is scored, rising; step 0 and the last always are. None: 0, 5, 10, 20, 30, 50,
            100, 200 and 300, as far as there are such.
        seed: of the choice and order of the pairs.
        progress: True for a bar, or a callable given (step, total steps, loss, images per second).

    Raises:
        SpecError: if a number is out of range, or the steps do not rise or go beyond the last.
        DataError: if fewer than two pairs without the target are left, or the target is no class of the images.
        ScientificError: if the training diverges.
    """
    options = rebound_options(steps, learning_rate, batch_size, at)
    target, copied = images.classes.index(backdoor.target), model.copy()
    split = images.load(backdoor.trigger, model.preprocessing)
    held = _clean_pairs(clean, model, images, backdoor.target, seed)
    with copied.answering(images.classes), reporting(progress, "rebound") as report:
        curve = measure_rebound(
            copied.module,
            held.pairs,
            lambda module: score(module, copied.head(images.classes), split, target, model.preprocessing),
            options,
            model.preprocessing,
            seed,
            report,
        )
    return Rebound(curve.scores, curve.reestimated, curve.figures, options, len(held.pairs), held.naming)


def rebound_options(
    steps: int, learning_rate: float, batch_size: int = 128, at: Sequence[int] | None = None
) -> ReboundOptions:
    """The options of `rebound`, checked.

    Raises:
        SpecError: one line, as `rebound`.
    """
    given: dict[str, Any] = {"steps": steps, "learning_rate": learning_rate, "batch_size": batch_size}
    try:
        return ReboundOptions(**given, **({} if at is None else {"at": tuple(at)}))
    except ValidationError as error:
        first = error.errors()[0]
        field = "".join(f"{part}: " for part in first["loc"][:1])
        raise SpecError(f"rebound: {field}{first['msg'].removeprefix('Value error, ')}") from None


def _clean_pairs(clean: PairsRequest, model: Model, images: Images, target: str, seed: int) -> CleanPairs:
    """The requested pairs without those of the target, and a warning that counts them."""
    reader = reader_of(clean, model, images.classes, seed)
    held = read_clean_pairs(reader, target, clean.count, seed if clean.seed is None else clean.seed, clean.exclude)
    if held.naming:
        warnings.warn(
            f"rebound: {held.naming:,} of the clean pairs show or name the target {target!r}, and are left out",
            stacklevel=3,
        )
    return held
