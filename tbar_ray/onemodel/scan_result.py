"""What a scan of one model found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tbar_ray.api.classes import Classes
from tbar_ray.detection.calibration import Calibration
from tbar_ray.detection.searches import Searched, most_telling
from tbar_ray.detection.verdict import Judgement, Outcome
from tbar_ray.inversion.base import Inverter
from tbar_ray.inversion.target import Target
from tbar_ray.onemodel.opening import Opened
from tbar_ray.onemodel.pictures import Picture
from tbar_ray.triggers.proxy import Proxy


@dataclass(frozen=True, eq=False)
class Scan:
    """What a scan found.

    Attributes:
        opened: the checkpoint.
        classes: that the model was asked about; None without a text tower.
        told: where they come from, where that is a guess; else ''.
        calibration: what scores are for models whose state is known.
        calibration_place: its file; None for the package's own.
        searches: that were run, with their parameters.
        found: by search.
        judgement: the verdict.
        images: that the searches were given.
        judged: images on which the triggers were judged.
        apart: whether those are others.
        lost: images that could not be read, one line each.
        pictures: stamped with the trigger of `telling`, with the answers without and with it.
        seed: of all draws.
    """

    opened: Opened
    classes: Classes | None
    told: str
    calibration: Calibration
    calibration_place: Path | None
    searches: tuple[Inverter, ...]
    found: Mapping[str, Searched]
    judgement: Judgement
    images: int
    judged: int
    apart: bool
    lost: tuple[str, ...]
    pictures: tuple[Picture, ...]
    seed: int

    @property
    def outcome(self) -> Outcome:
        """One of "infected", "no evidence" and "inconclusive"."""
        return self.judgement.outcome

    @property
    def probability(self) -> float | None:
        """That the model is infected, if as many models are infected as clean; None without a score."""
        return self.judgement.probability

    @property
    def scores(self) -> dict[str, float | None]:
        """By search; None where it did not converge."""
        return {name: each.inversion.score for name, each in self.found.items()}

    @property
    def telling(self) -> str | None:
        """The search whose trigger leads most images to its class."""
        return most_telling(self.found)

    @property
    def trigger(self) -> Proxy | None:
        """The trigger that it found."""
        return None if self.telling is None else self.found[self.telling].inversion.trigger

    @property
    def leads_to(self) -> Target | None:
        """How far this trigger leads to a class; None without a text tower or a trigger."""
        return None if self.telling is None else self.found[self.telling].target

    @property
    def target(self) -> str | None:
        """The class that it leads to; None where no target was found, or there is no evidence of a backdoor."""
        return None if self.outcome == "no evidence" else self.class_of(self.leads_to)

    def class_of(self, target: Target | None) -> str | None:
        """Name of the class that a trigger leads to; None where it leads nowhere."""
        if target is None or target.target is None or self.classes is None:
            return None
        return self.classes.names[target.target]
