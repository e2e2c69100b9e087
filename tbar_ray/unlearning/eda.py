"""Easy data augmentation of captions (EDA, 1901.11196), without synonyms, which need a thesaurus."""

from __future__ import annotations

import numpy as np

SHARE = 0.1
"""Share of a caption's words that an operation changes, at least one word (EDA's α)."""


def augmented_text(caption: str, rng: np.random.Generator) -> str:
    """Change a caption by one operation: words are swapped, deleted, or repeated elsewhere.

    EDA's synonym replacement and insertion of synonyms are replaced by the insertion of one of the caption's own words.
    A caption of one word is returned unchanged.
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
