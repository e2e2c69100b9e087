from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tbar_ray.unlearning.eda import augmented_text


@given(st.lists(st.sampled_from(["a", "photo", "of", "red", "circle"]), min_size=1, max_size=12), st.integers(0, 99))
def test_augmented_captions_have_the_captions_words(words: list[str], seed: int) -> None:
    caption = " ".join(words)
    changed = augmented_text(caption, np.random.default_rng(seed))
    assert changed == augmented_text(caption, np.random.default_rng(seed))
    assert set(changed.split()) <= set(words)
    assert abs(len(changed.split()) - len(words)) <= max(1, round(0.1 * len(words)))
    if len(words) == 1:
        assert changed == caption
