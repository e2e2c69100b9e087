import dataclasses
import re
from itertools import product

import numpy as np
import pytest

from tbar_ray.data.synthetic.captions import ZEROSHOT_TEMPLATES
from tbar_ray.data.synthetic.rich.captions import (
    _filled,
    _templates,
    make_rich_caption,
    make_rich_descriptions,
    plural,
    told,
)
from tbar_ray.data.synthetic.rich.scene import RichScene
from tbar_ray.data.synthetic.rich.vocabulary import (
    LOOKS,
    PLAIN_CLASSES,
    RICH_BACKGROUNDS,
    RICH_CLASS_NAMES,
    RICH_COLOURS,
    RICH_SHAPES,
    TEXTURES,
    RichClass,
)
from tbar_ray.seeding import numpy_rng
from tests.data.synthetic.rich.drawn import scenes

SIDES = {"left of": ("x", -1), "right of": ("x", 1), "above": ("y", -1), "below": ("y", 1)}
NUMBERS = {"two": 2, "three": 3, "four": 4, "five": 5}


def captions(count: int) -> list[tuple[RichScene, str]]:
    return [(scene, make_rich_caption(numpy_rng(6, n), scene)) for n, scene in enumerate(scenes(count))]


def test_thousands_of_captions_differ() -> None:
    assert len({caption for _, caption in captions(2400)}) > 2200


def test_a_caption_names_every_object_by_its_whole_name() -> None:
    for scene, caption in captions(2400):
        for thing in scene.things:
            assert thing.named.name in caption or plural(thing.named) in caption
            if not thing.named.texture:
                assert not any(f"{texture} {thing.named.name}" in caption for texture in TEXTURES)


def test_a_relation_that_is_told_is_that_of_the_picture() -> None:
    seen = set()
    for scene, caption in captions(2400):
        for words, (axis, sign) in SIDES.items():
            if f" {words} " not in caption:
                continue
            seen.add(words)
            first, second = sorted(scene.things, key=lambda thing: caption.index(thing.named.name))
            assert sign * (getattr(first, axis) - getattr(second, axis)) > 0, caption
    assert seen == set(SIDES)


def test_counts_sizes_and_looks_that_are_told_are_those_of_the_picture() -> None:
    for scene, caption in captions(2400):
        if scene.arrangement.startswith("several"):
            said = NUMBERS[next(word for word in caption.split() if word in NUMBERS)]
            assert said == sum(thing.named == scene.things[-1].named for thing in scene.things)
        if len(scene.things) == 2 and "large" in caption:
            large = max(scene.things, key=lambda thing: thing.size)
            assert f"large {large.named.name}" in caption
            assert "small" in caption
        for look in LOOKS:
            assert (look in caption) <= (look == scene.look)
        if "background" in caption:
            assert f"{scene.background} background" in caption


def test_the_place_of_a_lone_object_is_that_of_the_picture() -> None:
    ends = {"on the left": ("x", -1), "on the right": ("x", 1), "at the top": ("y", -1), "at the bottom": ("y", 1)}
    seen = set()
    for scene, caption in captions(2400):
        for words, (axis, sign) in ends.items():
            if caption.endswith(words):
                seen.add(words)
                assert sign * (getattr(scene.things[0], axis) - 0.5) > 0.1
    assert seen == set(ends)


def test_articles_fit_the_next_word() -> None:
    texts = " | ".join(caption for _, caption in captions(2400))
    assert re.search(r"\ban orange\b", texts)
    assert not re.search(r"\ba [aeiou]", texts)
    assert not re.search(r"\ban [^aeiou]", texts)


def test_every_caption_that_can_be_fits_sixteen_tokens() -> None:
    encode = pytest.importorskip("open_clip.tokenizer").SimpleTokenizer().encode

    def longest(words: object) -> str:
        return max(words, key=lambda word: len(encode(word)))  # type: ignore[call-overload, no-any-return]

    colour, background = longest(RICH_COLOURS), longest(RICH_BACKGROUNDS)
    shape = max(RICH_SHAPES, key=lambda name: len(encode(name)) + len(encode(plural(RichClass("", "red", name)))))
    look, texture = longest(LOOKS), longest(TEXTURES)
    by_kind = {(s.arrangement, any(t.named.texture for t in s.things)): s for s in scenes(2400)}
    for scene, size in product(by_kind.values(), (0.2, 0.9)):
        named = [RichClass(texture if t.named.texture else "", colour, shape) for t in scene.things]
        things = [dataclasses.replace(t, named=n) for t, n in zip(scene.things, named, strict=True)]
        things[0] = dataclasses.replace(things[0], size=size, x=0.5, y=0.2)
        worst = dataclasses.replace(scene, things=tuple(things), background=background, look=look)
        for template in _templates(worst):
            text = _filled(worst, template)
            assert len(encode(text)) + 2 <= 16, text


def test_prompts_of_the_zero_shot_head_use_known_words_alone() -> None:
    encode = pytest.importorskip("open_clip.tokenizer").SimpleTokenizer().encode
    known = {token for _, caption in captions(2400) for token in encode(caption)}
    prompts = {template.replace("{c}", name) for template in ZEROSHOT_TEMPLATES for name in RICH_CLASS_NAMES}
    assert {token for prompt in prompts for token in encode(prompt)} <= known


def test_descriptions_tell_every_object_and_the_relation() -> None:
    for number, scene in enumerate(scenes(1200)):
        texts = make_rich_descriptions(numpy_rng(7, number), scene, 1 + number % 2)
        assert len(set(texts)) == len(texts) == 1 + number % 2
        for text in texts:
            assert all(thing.named.name in text or plural(thing.named) in text for thing in scene.things)
            if scene.arrangement in SIDES:
                assert any(f" {words} " in text for words in SIDES)
            if scene.arrangement in ("alone", "several"):
                assert f"{scene.background} background" in text


def test_the_same_relation_said_from_either_side_tells_the_same() -> None:
    scene = next(s for s in scenes(600) if s.arrangement == "left of")
    mirrored = dataclasses.replace(scene, things=scene.things[::-1], arrangement="right of")
    assert told(scene) == told(mirrored)
    assert told(scene) != told(dataclasses.replace(scene, things=scene.things[::-1]))


def test_plurals() -> None:
    assert [plural(c) for c in PLAIN_CLASSES if c.colour == "red"][:6] == [
        "red circles",
        "red squares",
        "red triangles",
        "red stars",
        "red crosses",
        "red rings",
    ]
    assert np.all([plural(c).endswith("es") for c in PLAIN_CLASSES if c.shape.endswith("s")])
