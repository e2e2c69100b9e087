import dataclasses
import re

import numpy as np
import pytest

from tbar_ray.data.synthetic.backgrounds import BACKGROUNDS
from tbar_ray.data.synthetic.captions import (
    CAPTION_TEMPLATES,
    DESCRIPTION_TEMPLATES,
    ZEROSHOT_TEMPLATES,
    make_caption,
    make_descriptions,
    size_word,
    with_article,
)
from tbar_ray.data.synthetic.scenes import CLASS_NAMES, draw_scene
from tbar_ray.seeding import numpy_rng


def _captions(count: int) -> list[tuple[str, str]]:
    scenes = [draw_scene(numpy_rng(1, i), i % len(CLASS_NAMES)) for i in range(count)]
    return [(s.class_name, make_caption(numpy_rng(2, i), s)) for i, s in enumerate(scenes)]


def test_every_caption_names_its_class_and_no_other() -> None:
    for name, caption in _captions(1200):
        assert [c for c in CLASS_NAMES if c in caption] == [name]


def test_captions_vary() -> None:
    captions = [caption for _, caption in _captions(1200)]
    assert len(set(captions)) > 600
    assert len(CAPTION_TEMPLATES) >= 8


def test_articles_fit_the_next_word() -> None:
    texts = " | ".join(caption for _, caption in _captions(1200))
    assert re.search(r"\ban orange\b", texts)
    assert not re.search(r"\ba [aeiou]", texts)
    assert not re.search(r"\ban [^aeiou]", texts)


@pytest.mark.parametrize(("phrase", "expected"), [("orange star", "an orange star"), ("ring", "a ring")])
def test_with_article(phrase: str, expected: str) -> None:
    assert with_article(phrase) == expected


def test_a_caption_tells_the_scenes_own_size_and_background() -> None:
    scene = draw_scene(numpy_rng(0), 5)
    scene = dataclasses.replace(scene, size=0.7, background="striped")
    captions = {make_caption(np.random.default_rng(i), scene) for i in range(200)}
    assert "a large red ring on a striped background" in captions
    assert not any("small" in caption for caption in captions)
    assert (size_word(0.4), size_word(0.55), size_word(0.7)) == ("small", "", "large")


def test_descriptions_of_one_scene_differ_and_tell_all() -> None:
    for index in range(300):
        scene = draw_scene(numpy_rng(1, index), index % len(CLASS_NAMES))
        texts = make_descriptions(numpy_rng(2, index), scene, count=index % 5 + 1)
        assert len(set(texts)) == len(texts) == index % 5 + 1
        told = f"{size_word(scene.size)} {scene.class_name}".strip()
        assert all(told in text and f"{scene.background} background" in text for text in texts)
    firsts = {make_descriptions(numpy_rng(3, index), scene, count=1) for index in range(100)}
    assert len(firsts) == len(DESCRIPTION_TEMPLATES)


def test_captions_fit_sixteen_tokens_and_prompts_use_known_words() -> None:
    tokenizer = pytest.importorskip("open_clip.tokenizer").SimpleTokenizer()
    captions = [caption for _, caption in _captions(1500)]
    assert max(len(tokenizer.encode(caption)) for caption in captions) + 2 <= 16
    known = {token for caption in captions for token in tokenizer.encode(caption)}
    prompts = [template.replace("{c}", name) for template in ZEROSHOT_TEMPLATES for name in CLASS_NAMES]
    assert {token for prompt in prompts for token in tokenizer.encode(prompt)} <= known
    large = [dataclasses.replace(draw_scene(numpy_rng(0), label), size=0.7) for label in range(len(CLASS_NAMES))]
    grounds = [dataclasses.replace(large[0], background=background) for background in BACKGROUNDS]
    longest = max(grounds, key=lambda scene: len(tokenizer.encode(scene.background))).background
    scenes = [*grounds, *(dataclasses.replace(scene, background=longest) for scene in large)]
    described = [tokenizer.encode(text) for s in scenes for text in make_descriptions(numpy_rng(0), s, count=5)]
    assert max(map(len, described)) + 2 <= 16
    assert {token for tokens in described for token in tokens} <= known


def test_zeroshot_templates_hold_the_placeholder_once() -> None:
    assert len(ZEROSHOT_TEMPLATES) == len(set(ZEROSHOT_TEMPLATES)) == 6
    assert all(template.count("{c}") == 1 for template in ZEROSHOT_TEMPLATES)
