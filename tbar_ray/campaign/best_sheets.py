"""Which trials of a launch get a sheet by themselves: the best ones, where that takes seconds."""

from __future__ import annotations

from collections.abc import Sequence

from tbar_ray.models.architectures import image_size, weights_size
from tbar_ray.records.cells import best_of_attacks
from tbar_ray.records.record import TrialRecord
from tbar_ray.spec.campaign import CampaignSpec

MOST = 6
"""Sheets at the end of a launch, at most: each takes up to a second, for a small model."""
SMALL_WEIGHTS, SMALL_IMAGES = 200_000_000, 500_000_000
"""Bytes of a model's weights and of the test images up to which a sheet is made unasked: all of them are loaded."""


def best_for_sheets(spec: CampaignSpec, records: Sequence[TrialRecord]) -> list[TrialRecord]:
    """The best feasible trial of each attack, by validation scores; of many attacks the first.

    Trials of large models or of many images are left out.
    """
    return best_of_attacks(record for record in records if _is_small(spec, record))[:MOST]


def _is_small(spec: CampaignSpec, record: TrialRecord) -> bool:
    architecture = str(record.settings.get("model.architecture") or spec.model.architecture)
    rate = record.rate("ca")
    images = 0 if rate is None or rate.n is None else rate.n
    return weights_size(architecture) <= SMALL_WEIGHTS and images * 3 * image_size(architecture) ** 2 <= SMALL_IMAGES
