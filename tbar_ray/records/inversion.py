"""What a search for the trigger found, in a trial's record."""

from __future__ import annotations

from tbar_ray.records.part import Part
from tbar_ray.records.scores import RateRecord


class LikenessRecord(Part):
    """The found trigger beside the true one (`evaluation.likeness`)."""

    iou: float
    distance: float
    images: int


class InversionRecord(Part):
    """A search, and what came of it.

    Attributes:
        inversion: the search, by its name in the package.
        score: how suspicious it finds the model; None where it did not converge.
        target: the class that it named, or aimed at; None where it found no trigger.
        named: whether stamping its trigger leads to one class clearly more than to any other.
        target_found: whether that class is the attacker's.
        shift: rise of the class's share of the answers, where a trigger was found.
        rate: of the images of the search, how many are answered with the class when stamped.
        likeness: to the true trigger; None where none was found.
        seconds: of the search.
    """

    inversion: str
    score: float | None
    target: str | None
    named: bool
    target_found: bool
    shift: float | None = None
    rate: RateRecord | None = None
    likeness: LikenessRecord | None = None
    seconds: float
