"""The data dictionary: what every column of results.csv and path.csv means, with its unit."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from tbar_ray.planning.axes import ALIASES, factors_of
from tbar_ray.report.fields import PARAMETERS, SUFFIXES

SHARE = "share, 0 to 1"


class Meaning(NamedTuple):
    """A column: its unit ('' for names and flags), and what it holds."""

    unit: str
    text: str


METRICS = {
    "ca": "clean accuracy: clean images answered with their class",
    "ca_top5": "clean images whose class is among the five best answers",
    "asr": "attack success rate: triggered images of the other classes answered with the target",
    "asr_all_images": "triggered images of all classes answered with the target",
    "pa": "poisoned accuracy: triggered images of the other classes answered with their own class",
    **{
        f"{way}_at_{k}": f"retrieval {way.replace('_', ' ')}: queries whose match is among the best {k}"
        for way in ("image_to_text", "text_to_image")
        for k in (1, 5, 10)
    },
    "caption_asr": "triggered images of a retrieval set whose best caption is the target's",
    "caption_asr_untriggered": "the same without the trigger",
}
ROLES = {
    "_as_applied": "after removal, with the running statistics that the edit leaves",
    "_reestimated": "after removal, with running statistics re-estimated", "_infected": "of the infected model",
    "_clean": "of the clean model", "_before_merge": "of the infected model before its merge",
}  # fmt: skip
ENDS = {
    "": (SHARE, ""),
    "_low": (SHARE, "lower end of the 95% interval"),
    "_high": (SHARE, "upper end of the 95% interval"),
    "_n": ("images", "number counted"),
}
"""What the names of a score's parts end with."""
FIXED: dict[str, Meaning] = {
    "attack": Meaning("", "the attack, by its name in the spec"),
    "source": Meaning("", "the attack on whose model the vector was learned; empty: the same"),
    "trigger": Meaning("", "the trigger's preset"),
    "target": Meaning("", "the class that triggered images are to be answered with"),
    "task": Meaning("", "the task of a single-task model"),
    "planting": Meaning("", "how the backdoor was planted"),
    "merge": Meaning("", "how the victim merged the model"),
    "method": Meaning("", "the unlearning method"),
    "forget_size": Meaning("images", "size of the forget set"),
    "clean_fraction": Meaning(SHARE, "clean images in the forget set"),
    "poisoning_rate": Meaning(SHARE, "poisoned pairs of the training data; empty where a number was given"),
    "seed": Meaning("", "seed of the trial"),
    "learning_rate": Meaning("", "learning rate of the method"),
    PARAMETERS: Meaning("JSON", "all parameters of the method as it ran, defaults too"),
    "alpha": Meaning("", "the strength that was selected on validation"),
    "status": Meaning("", "done, infeasible (no α keeps enough CA), dominated (given up by the search), failed"),
    "reason": Meaning("", "why there is no result"),
    "split": Meaning("", "images of the scores in columns without a split in their name"),
    "ca_retention": Meaning("ratio", "CA over the infected model's, on the same split"),
    "ca_retention_clean": Meaning("ratio", "CA over the clean model's, on the same split"),
    "flat_alpha_low": Meaning("α", "first α with ASR ≤ 1% and CA ≥ 95% of the infected model's, on validation"),
    "flat_alpha_high": Meaning("α", "last α of that range"),
    "flat_alpha_width": Meaning("α", "its width"),
    "flat_alpha_censored": Meaning("", "whether it meets an end of the path, and may be wider"),
    "weights_relative_l2": Meaning("ratio", "norm of the attacker's change over that of the clean weights"),
    "weights_relative_linf": Meaning("ratio", "greatest change of a weight over the greatest weight"),
    "weights_participation": Meaning(SHARE, "effective share of weights that carry the attacker's change"),
    "defender_images": Meaning("images", "held by the defender"),
    "forget_images": Meaning("images", "of these, in the forget set"),
    "clean_pairs": Meaning("pairs", "of these, clean image-text pairs"),
    "training_pairs": Meaning("pairs", "of these, suspicious training pairs"),
    "unlearning_samples": Meaning("images", "that went through the model in unlearning, repeats included"),
    "unlearning_steps": Meaning("steps", "of unlearning"),
    "unlearning_seconds": Meaning("s", "of unlearning"),
    "unlearning_peak_memory": Meaning("bytes", "most memory in unlearning, beyond the model"),
    "reference_ca": Meaning(SHARE, "CA of the infected model on validation"),
    "model": Meaning("", "the model that is fine-tuned: infected, clean or removed (the cleaned one)"),
    "step": Meaning("steps", "of clean fine-tuning before the scores"),
    "seconds": Meaning("s", "of the trial's own stages"),
    "skipped_samples": Meaning("samples", "that could not be read"),
    "fingerprint": Meaning("", "of what the trial computes"),
    "statistics": Meaning("", "running statistics with which α was selected"),
    "statistics_images": Meaning("images", "on which running statistics were re-estimated"),
    "asr_masked": Meaning("share, −1 to 1", "ASR that the statistics which the edit leaves hide"),
    "asr_masked_n": Meaning("images", "number counted"),
    "pretraining_samples": Meaning("samples", "that pretraining saw, repeats included"),
    "asr_infected_validation": Meaning(SHARE, "ASR of the infected model on validation, by which the gate decided"),
    "ca_infected_validation": Meaning(SHARE, "CA of the infected model on validation, by which the gate decided"),
    "ca_clean_validation": Meaning(SHARE, "CA of the clean model on validation, by which the gate decided"),
    "unchanged_images": Meaning("images", "that the trigger does not change"),
    "xi_planted": Meaning("", "disentanglement error ξ(1, 1)"),
    "xi_negated": Meaning("", "disentanglement error ξ(1, −α)"),
    "xi_equal_length": Meaning("", "disentanglement error ξ where as long a step is taken as the trial's"),
    "alpha_equal_length": Meaning("α", "where that is"),
    "cosine_towards_target": Meaning("−1 to 1", "cosine of the trigger's vector and the target's"),
    "trigger_relative_length": Meaning("ratio", "length of the trigger's vector over that of the image encoder"),
    "gradient_overlap": Meaning("−1 to 1", "cosine of the gradients of trigger loss and clean loss"),
    "inversion_score": Meaning("", "how suspicious the search finds the model"),
    "inversion_target": Meaning("", "the class that the found trigger leads to"),
    "inversion_named": Meaning("", "whether stamping it leads to one class clearly more than to any other"),
    "inversion_target_found": Meaning("", "whether it is the attack's target"),
    "inversion_shift": Meaning("share, −1 to 1", "rise of that class's share of the answers"),
    "inversion_seconds": Meaning("s", "of the search"),
    "inversion_iou": Meaning(SHARE, "overlap of the pixels that the found and the true trigger change"),
    "inversion_distance": Meaning("", "distance of the images that both triggers stamp"),
    "rebound_start": Meaning(SHARE, "ASR before clean fine-tuning"),
    "rebound_highest": Meaning(SHARE, "highest ASR in clean fine-tuning"),
    "rebound_rise": Meaning("share, −1 to 1", "that less the ASR before"),
    "rebound_area": Meaning("share", "mean rise of ASR over the steps"),
    "rebound_revival": Meaning("steps", "first measured step with an ASR of at least 50%; empty: there is none"),
    "rebound_eligible": Meaning("", "whether the backdoor was gone before (ASR ≤ 10%)"),
    "rebound_ca_change": Meaning("share, −1 to 1", "change of CA in clean fine-tuning"),
    "rebound_highest_infected": Meaning(SHARE, "highest ASR of the infected model in clean fine-tuning"),
    "rebound_highest_clean": Meaning(SHARE, "highest ASR of the clean model in clean fine-tuning"),
    "rebound_ca_change_clean": Meaning("share, −1 to 1", "change of the clean model's CA in clean fine-tuning"),
}
VISIBLE = {"psnr": ("dB", "PSNR of triggered and clean images"), "ssim": ("", "SSIM of triggered and clean images")}


def meanings(columns: Iterable[str], split: str, of: str) -> dict[str, Meaning]:
    """What each column means.

    Args:
        columns: of a table of results.
        split: the images of its scores: 'test' or 'validation'.
        of: the model of those scores that do not name one.
    """
    columns = list(columns)
    scores = _scores(split, of)
    axes = factors_of([name for name in columns if name not in FIXED and name not in scores])
    return {name: _meaning(name, scores, axes[name].title if name in axes else "") for name in columns}


def _meaning(name: str, scores: dict[str, Meaning], title: str) -> Meaning:
    if name in FIXED:
        return FIXED[name]
    if name in scores:
        return scores[name]
    metric, _, change = name.partition("_")
    if metric in ("ca", "asr", "pa") and change and "." not in name:
        return Meaning(SHARE, f"{METRICS[metric]}; after the change {change.replace('_', '-')}, test images")
    return Meaning("", f"axis of the campaign: {title or ALIASES[name].factor.title}")


def _scores(split: str, of: str) -> dict[str, Meaning]:
    found = {}
    for metric, text in METRICS.items():
        for suffix in SUFFIXES.values():
            for end, (unit, what) in ENDS.items():
                told = f"{text}; {ROLES[suffix] if suffix else of}, {split} images"
                found[f"{metric}{suffix}{end}"] = Meaning(unit, f"{told}: {what}" if what else told)
    for name, (unit, text) in VISIBLE.items():
        for end, (_, what) in ENDS.items():
            about = f"{text}: {what}" if what else text
            found[f"{name}{end}"] = Meaning("images" if end == "_n" else unit, about)
    return found
