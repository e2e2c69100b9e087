"""Easy data augmentation of captions (EDA, 1901.11196), without its synonyms, which need a thesaurus."""

from __future__ import annotations

import numpy as np

SHARE = 0.1
"""Words of a caption that an operation changes, at least one (EDA's α)."""


def augmented_text(caption: str, rng: np.random.Generator) -> str:
    """Return a caption changed by one operation: words swapped, deleted, or repeated elsewhere.

    EDA's synonym replacement and its insertion of synonyms become the insertion of one of the caption's own words. A
    caption of one word stays as it is.
    """
    words = caption.split()
    if len(words) < 2:
        return caption
    changes = max(1, round(SHARE * len(words)))
    operation = rng.integers(3)
    for _ in range(changes):
        first, second = (int(place) for place in rng.choice(len(words), 2, replace=False))
        if operation == 0:
            words[first], words[second] = words[second], words[first]
        elif operation == 1 and len(words) > 2:
            del words[first]
        else:
            words.insert(first, words[second])
    return " ".join(words)
