"""Which normalisation statistics an edited model is scored with. Reads nothing of torch, for specs and records."""

from __future__ import annotations

from typing import Literal

StatisticsChoice = Literal["reestimated", "as_applied"]
"""Statistics of the edited weights themselves, or those that the edit left."""
STATISTICS_IMAGES = 960
"""Images on which statistics are estimated: 15 batches of 64."""
OTHER: dict[StatisticsChoice, StatisticsChoice] = {"reestimated": "as_applied", "as_applied": "reestimated"}
