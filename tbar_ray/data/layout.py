"""Names of files and splits in CLIP_benchmark's WebDataset layout."""

from __future__ import annotations

from typing import Literal

SplitName = Literal["train", "test"]
SPLITS: tuple[SplitName, ...] = ("train", "test")
CLASSNAMES = "classnames.txt"
TEMPLATES = "zeroshot_classification_templates.txt"
COUNT = "nshards.txt"
