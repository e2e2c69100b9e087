"""A made-up zoo of reference models: placeholders for tests, measured on nothing."""

from __future__ import annotations

import numpy as np

from tbar_ray.detection.calibration import Calibration
from tbar_ray.detection.fitting import calibrate
from tbar_ray.detection.reference import Reference

VERSIONS = {"tbar-ray": "0"}
CLEAN, ATTACKS = ("pretrained", "fine-tuned"), ("badnets", "blended", "sig")


def zoo(
    noise: float = 12.0, decree: float = 1.6, each: int = 10, architecture: str = "tbar-GN-pico"
) -> list[Reference]:
    """Return models of every kind; infected ones score `noise` and `decree` in the mean, clean ones 3 and 1."""
    generator, found = np.random.default_rng(0), []
    for infected, kinds in ((False, CLEAN), (True, ATTACKS)):
        for kind in kinds:
            for row in range(each):
                spread = generator.normal(size=2)
                found.append(
                    Reference(
                        model=f"{kind}-{row}",
                        architecture=architecture,
                        images=64,
                        classes=8,
                        infected=infected,
                        kind=kind,
                        target="red" if infected else "",
                        scores={
                            "universal-noise": (noise if infected else 3.0) + spread[0],
                            "decree": (decree if infected else 1.0) + 0.1 * spread[1],
                        },
                    )
                )
    return found


QUICK = {
    "universal-noise": {"steps": 2, "refine": 1, "judged": 8, "batch_size": 2},
    "decree": {"starts": 1, "steps": 3},
}
"""Parameters with which searches end at once; DECREE does not converge."""
FAR = {"infected": (-300.0, -100.0), "no evidence": (100.0, 300.0), "inconclusive": (-300.0, 1e6)}
"""Scores of clean and infected reference models, by what every real score is to be called beside them."""


def leaning(outcome: str, architecture: str = "tbar-GN-pico", images: int = 32, classes: int = 4) -> Calibration:
    """Return a calibration by which every model whose searches converged has this outcome."""
    clean, infected = FAR[outcome]
    models = [
        each.model_copy(
            update={
                "architecture": architecture,
                "images": images,
                "classes": classes,
                "scores": dict.fromkeys(each.scores, (infected if each.infected else clean) + row % 7),
            }
        )
        for row, each in enumerate(zoo())
    ]
    return calibrate(models, "a made-up zoo", VERSIONS, parameters=QUICK)


def placeholder(**zoo_of: float) -> Calibration:
    """Return a calibration on the made-up zoo."""
    return calibrate(zoo(**zoo_of), "a made-up zoo", VERSIONS)  # type: ignore[arg-type]
