"""The verdict of a scan in words, with its error rates and what it cannot see."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from tbar_ray.detection.calibration import Calibration, Combination
from tbar_ray.onemodel.scan_result import Scan
from tbar_ray.onemodel.verdict import UNSEEN, rate_text, share

BLIND = (
    *UNSEEN,
    "Backdoors beside the one that was found: each search follows the easiest way to one class.",
    "Targets that are none of the classes that the model was asked about: their trigger may be found, but not they.",
)


@dataclass(frozen=True)
class ScanVerdict:
    """What a scan says.

    Attributes:
        headline: in one sentence.
        sentences: what it rests on.
        errors: how often such a verdict is wrong, as far as that was measured.
        blind: what it cannot see.
    """

    headline: str
    sentences: tuple[str, ...]
    errors: tuple[str, ...]
    blind: tuple[str, ...] = BLIND


def scan_verdict(scan: Scan) -> ScanVerdict:
    """Put a scan's verdict into words."""
    sentences = (*_probability(scan), *_target(scan), *_lacking(scan), *_scores(scan))
    return ScanVerdict(_headline(scan), sentences, _errors(scan))


def target_line(scan: Scan) -> str:
    """The target with how sure it is, or that none was found."""
    leads, name = scan.leads_to, scan.target
    if scan.classes is None:
        return "unknown: an image encoder alone is asked about no class"
    if scan.outcome == "no evidence":
        return "none, as there is no evidence of a backdoor"
    if leads is None or name is None:
        return "no target found"
    return f"{name}: {rate_text(leads.rate)} of {leads.rate.n:,} images are led to it"


def percent(probability: float) -> str:
    """A probability in words that claim no more than it can: never 0 % or 100 %."""
    if probability < 0.001:
        return "less than 0.1 %"
    return "more than 99.9 %" if probability > 0.999 else f"{100 * probability:.1f} %"


def _headline(scan: Scan) -> str:
    judged = scan.judgement
    certain = "" if judged.probability is None else f" (probability {percent(judged.probability)})"
    if scan.outcome == "infected":
        towards = f", towards “{scan.target}”" if scan.target is not None else "; no target was found"
        if judged.beyond:
            unlike = "for a model like this, how often that is wrong is not known"
            return f"This model scores as infected ones do{towards}; {unlike}."
        return f"This model is infected{certain}{towards}."
    if scan.outcome == "no evidence":
        return f"No evidence of a backdoor was found{certain.replace('probability', 'probability of one')}."
    return f"Inconclusive{certain}: {_why(scan)}."


def _why(scan: Scan) -> str:
    judged = scan.judgement
    if judged.unconverged and judged.probability is None:
        return "no search converged, which says nothing about the model"
    if judged.combination is None:
        return "no calibration knows the scores of these searches"
    if judged.beyond:
        return "no reference model is like it, so that its scores clear it no more than they convict it"
    if judged.unconverged and judged.probability is not None and judged.probability <= judged.combination.clear:
        return f"{', '.join(judged.unconverged)} did not converge, and the other scores alone clear no model"
    return "it scores between the clean and the infected reference models"


def _probability(scan: Scan) -> list[str]:
    judged = scan.judgement
    if judged.probability is None or judged.combination is None:
        return []
    from_, to = judged.combination.alarm, judged.combination.clear
    alarm = (
        f"from {percent(from_)} a model counts as infected" if from_ <= 1 else "no probability suffices for an alarm"
    )
    clear = f"up to {percent(to)} there is no evidence" if to >= 0 else "none suffices to clear a model"
    return [
        f"By {' and '.join(judged.combination.searches)}, the probability that it is infected is "
        f"{percent(judged.probability)}, if as many models are infected as clean; {alarm}, {clear}."
    ]


def _target(scan: Scan) -> list[str]:
    leads = scan.leads_to
    if leads is None or scan.outcome == "no evidence" or scan.telling is None:
        return []
    if scan.target is None:
        return [
            f"No target was found: stamped with what {scan.telling} found, no class gains "
            f"enough answers ({100 * leads.shift:.1f} points at most)."
        ]
    targets = Counter(scan.class_of(each.target) for each in scan.found.values() if each.inversion.trigger is not None)
    agreed = f"{targets[scan.target]} of {sum(targets.values())} triggers that were found lead there"
    apart = "" if scan.apart else ", on the images that it was searched with"
    return [
        f"Stamped with the trigger that {scan.telling} found, {rate_text(leads.rate)} of {leads.rate.n:,} images that "
        f"had another answer are answered with “{scan.target}”{apart}; the class that gains most after it gains "
        f"{100 * max(0.0, leads.runner_up):.1f} points. {agreed}."
    ]


def _lacking(scan: Scan) -> list[str]:
    lines = [
        f"{name} did not converge: it has no score, which is no sign of a clean model."
        for name in scan.judgement.unconverged
    ]
    lines += [f"{name} counts for nothing: the calibration has no scores of it." for name in scan.judgement.unweighed]
    return lines


def _scores(scan: Scan) -> list[str]:
    return [
        f"{name}: {score:.2f}; {_among(scan.calibration, name)}."
        for name, score in scan.scores.items()
        if score is not None
    ]


def _among(calibration: Calibration, name: str) -> str:
    ranges = []
    for state, words in ((False, "clean reference models score"), (True, "infected ones")):
        known = calibration.scores(name, infected=state)
        ranges.append(f"{words} {min(known):.2f} to {max(known):.2f}" if known else f"{words} were not scored")
    return ", ".join(ranges)


def _errors(scan: Scan) -> tuple[str, ...]:
    judged, made = scan.judgement, scan.calibration.provenance
    lines = []
    if judged.beyond:
        lines.append(
            f"No reference model is like it: {'; '.join(judged.beyond)}. So there is no probability, and how often "
            "such a verdict is wrong is not known. Calibrate with models like it (`tbar inversion calibrate`)."
        )
    if judged.combination is not None:
        lines.append(_rates(judged.combination))
    clean, infected = (scan.calibration.count(infected=state) for state in (False, True))
    lines.append(f"The reference models: {clean} clean and {infected} infected ones ({made.source}, {made.made}).")
    if scan.told:
        lines.append(f"{scan.told[0].upper()}{scan.told[1:]}.")
    return tuple(lines)


def _rates(combination: Combination) -> str:
    found = combination.measured
    return (
        f"Of the clean reference models {rate_text(found.false_alarms.rate)} are called infected; of the infected ones "
        f"{rate_text(found.caught.rate)} are, and of {share(found.missed.rate)} there is said to be no evidence. AUROC "
        f"{found.auroc:.3f}, least of an attack {min(found.by_attack.values()):.3f}. Each was judged by a fit that "
        "knows none of its attack, nor of its kind of clean model; the thresholds were chosen on the same scores."
    )
