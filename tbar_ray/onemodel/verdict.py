"""The verdict on one model in words, with its error rates and what it cannot see."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from tbar_ray.evaluation.rates import Rate
from tbar_ray.onemodel.examine import Examined
from tbar_ray.onemodel.measure import Measurement
from tbar_ray.onemodel.panels import DetectorResult, SecondScan
from tbar_ray.onemodel.remove import Cleaned

Outcome = Literal["not found", "removed", "reduced", "not removed"]
UNSEEN = (
    "Dormant backdoors: those that only show after fine-tuning, quantisation or a merge with another model.",
    "Text-side triggers: words in captions or prompts. Only images were stamped.",
    "Semantic triggers: an object, a style or a scene that is part of the picture, not a stamp on it.",
)
"""What no stamp on an image can show."""
BLIND = (*UNSEEN, "Other backdoors of the same model: one trigger and one target were tested.")


@dataclass(frozen=True)
class Verdict:
    """What is known of the model.

    Attributes:
        outcome: in one word.
        headline: in one sentence.
        costly: whether accuracy on clean images fell by more than chance.
        sentences: what it rests on.
        errors: how often such a verdict is wrong, as far as that was measured.
        blind: what it cannot see.
    """

    outcome: Outcome
    headline: str
    costly: bool
    sentences: tuple[str, ...]
    errors: tuple[str, ...]
    blind: tuple[str, ...] = BLIND


def outcome_of(before: Measurement, after: Measurement) -> Outcome:
    """Whether a backdoor is gone, by the intervals of ASR alone.

    Removed: ASR cannot be told from the share of unstamped images that get the same answer. Reduced: it is below what
    it was, and their intervals do not meet.
    """
    was, is_, base = _known(before.asr), _known(after.asr), _known(after.baseline)
    if is_.low <= base.high:
        return "removed"
    return "reduced" if is_.high < was.low else "not removed"


def verdict(
    examined: Examined,
    cleaned: Cleaned | None,
    detectors: Sequence[DetectorResult] = (),
    again: SecondScan | None = None,
) -> Verdict:
    """Judge an examined model, and what cleaning made of it.

    Args:
        examined: the model before cleaning.
        cleaned: the model after it; None where it was not cleaned.
        detectors: scores of the model before cleaning.
        again: a scan of the cleaned model.
    """
    target, before = examined.backdoor.target, examined.before
    asr, base = _known(before.asr), _known(before.baseline)
    found = (
        f"With {examined.suspect.origin} stamped on them, {rate_text(asr)} of {asr.n:,} images of other classes are "
        f"answered with “{target}”; without the trigger {rate_text(base)} of the same images are."
    )
    alarms = _alarms(detectors)
    errors = _errors(asr, base, detectors, searched=examined.suspect.searched)
    if cleaned is None:
        head = (
            f"No backdoor was found under this trigger: ASR {share(asr)}, below {100 * examined.settings.min_asr:g} %."
        )
        if examined.backdoored:
            head = f"This model has a backdoor: the trigger leads to “{target}” in {share(asr)} of the images."
        return Verdict("not found", head, False, (found, *alarms), errors)
    outcome = outcome_of(before, cleaned.after)
    sentences, headline = (found, *alarms, *_results(cleaned)), _headline(outcome, target, cleaned)
    if again is not None:
        sentences += (f"The cleaned model was scanned again: {again.headline}",)
        errors += (
            "Cleaned models are no reference models: how often a second scan is wrong about them was not measured.",
        )
        if again.alarmed:
            headline = f"{headline.removesuffix('.')}; a second scan calls the cleaned model infected."
    return Verdict(outcome, headline, costs(before, cleaned.after), sentences, errors)


def rate_text(rate: Rate) -> str:
    """A rate with its interval: 97.3 % [96.1, 98.2]."""
    return f"{share(rate)} [{100 * rate.low:.1f}, {100 * rate.high:.1f}]"


def share(rate: Rate) -> str:
    """A rate in percent, with one decimal."""
    return f"{100 * rate.value:.1f} %"


def costs(before: Measurement, after: Measurement) -> bool:
    """Whether accuracy on clean images fell, by more than chance: the intervals do not meet."""
    return after.ca.high < before.ca.low


def _headline(outcome: Outcome, target: str, cleaned: Cleaned) -> str:
    before, after = cleaned.examined.before, cleaned.after
    price = f"; CA fell from {share(before.ca)} to {share(after.ca)}" if costs(before, after) else ""
    if outcome == "removed":
        return f"The backdoor towards “{target}” was found and removed{price}."
    if outcome == "reduced":
        asr = share(_known(after.asr))
        return f"The backdoor towards “{target}” was found and weakened, not removed: ASR is still {asr}{price}."
    return f"The backdoor towards “{target}” was found, and this cleaning did not remove it{price}."


def _results(cleaned: Cleaned) -> tuple[str, ...]:
    before, after = cleaned.examined.before, cleaned.after
    asr, base = _known(after.asr), _known(after.baseline)
    what = "Agreement with the model that came in" if cleaned.examined.defence.answers else "Accuracy on clean images"
    lines = [
        f"After {cleaned.examined.settings.method} with α = {cleaned.alpha:g}: ASR {rate_text(asr)}; without the "
        f"trigger {rate_text(base)} of the same images are answered with the target.",
        f"{what} went from {rate_text(before.ca)} to {rate_text(after.ca)}; stamped images are answered with their "
        f"true class in {rate_text(_known(after.pa))} of the cases (before: {rate_text(_known(before.pa))}).",
    ]
    if not cleaned.feasible:
        asked = f"{100 * cleaned.walk.min_retention:g} %"
        lines.append(f"On the validation images this α keeps less of CA than was asked for ({asked}).")
    return tuple(lines)


def _alarms(detectors: Sequence[DetectorResult]) -> tuple[str, ...]:
    if not detectors:
        return ()
    alarmed = [each.name for each in detectors if each.alarmed]
    listed = f": {', '.join(alarmed)}" if alarmed else ""
    return (f"{len(alarmed)} of {len(detectors)} detectors call the model infected{listed}.",)


def _errors(asr: Rate, base: Rate, detectors: Sequence[DetectorResult], *, searched: bool) -> tuple[str, ...]:
    given = "The trigger was given: this is a test of one trigger, not a search."
    if searched:
        given = (
            "The trigger was found by a search: ASR and PA are of this trigger. The attacker's own was not seen; it "
            "may be answered otherwise."
        )
    lines = [
        f"{given} Its rates are of {asr.n:,} images, and their 95 % intervals are in brackets: one interval in twenty "
        "misses the true rate.",
        f"An ASR up to {100 * base.high:.1f} % could not be told from the answers to unstamped images.",
    ]
    lines += [
        f"{each.name} calls {rate_text(each.false_alarms)} of {each.false_alarms.n} clean reference models infected, "
        f"and {rate_text(each.misses)} of {each.misses.n} infected ones clean."
        for each in detectors
    ]
    return tuple(lines)


def _known(rate: Rate | None) -> Rate:
    assert rate is not None  # both were measured with the backdoor
    return rate
