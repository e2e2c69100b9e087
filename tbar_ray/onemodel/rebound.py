"""Whether the backdoor of a cleaned model comes back in clean fine-tuning, for the report."""

from __future__ import annotations

import warnings

from tbar_ray.api.rebound import Rebound, rebound
from tbar_ray.api.requests import pairs
from tbar_ray.onemodel.examine import Watch, unwatched
from tbar_ray.onemodel.panels import ReboundCurve
from tbar_ray.onemodel.remove import Cleaned, excluded_keys

PAIRS = 10_000
"""Pairs at most that the model is fine-tuned on."""


def measure_cleaned(cleaned: Cleaned, steps: int, learning_rate: float, *, watch: Watch = unwatched) -> Rebound:
    """Fine-tune a copy of a cleaned model on the person's clean pairs, and score it on test images on the way.

    The pairs are those of the images to unlearn with that cleaning left alone; they do not show or name the target.

    Args:
        cleaned: the cleaned model, which stays as it is.
        steps: of fine-tuning.
        learning_rate: of AdamW, constant.
        watch: told how far it is.

    Raises:
        SpecError: if a number is out of range.
        DataError: if too few pairs are left, or they have neither captions nor classes.
        ScientificError: if the training diverges.
    """
    examined = cleaned.examined
    used = excluded_keys(examined).union(*cleaned.keys.values())
    samples = examined.defence.samples
    left = sum(key not in used for key in samples.keys)
    with warnings.catch_warnings(action="ignore", category=UserWarning):  # the note tells what was left out
        return rebound(
            cleaned.model,
            examined.test,
            examined.backdoor,
            clean=pairs(samples, min(left, PAIRS), exclude=used),
            steps=steps,
            learning_rate=learning_rate,
            seed=examined.settings.seed,
            progress=lambda step, total, loss, rate: watch("fine-tuning on", step, total),  # noqa: ARG005
        )


def curve_of(found: Rebound) -> ReboundCurve:
    """The curve for the report."""
    options, scores = found.options, found.scores
    note = (
        f"{options.steps} steps of {options.batch_size} on {found.pairs:,} clean pairs without the target, AdamW at a "
        f"constant learning rate of {options.learning_rate:g}. {found.verdict}."
    )
    return ReboundCurve(
        "cleaned model", tuple(scores), [s.asr for s in scores.values()], [s.ca for s in scores.values()], note
    )
