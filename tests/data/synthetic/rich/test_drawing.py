from collections import Counter

import numpy as np
import pytest

from tbar_ray.data.synthetic.rich.drawing import SHARES, draw_rich_labelled, draw_rich_scene
from tbar_ray.data.synthetic.rich.layouts import HOLLOWS
from tbar_ray.data.synthetic.rich.scene import RichScene, Thing
from tbar_ray.data.synthetic.rich.vocabulary import (
    LOOKS,
    PLAIN_CLASSES,
    RICH_BACKGROUNDS,
    RICH_CLASSES,
    RICH_COLOURS,
    TEXTURES,
)
from tbar_ray.seeding import numpy_rng
from tests.data.synthetic.rich.drawn import scenes


def gap(one: Thing, other: Thing) -> float:
    """Return the distance between the circumscribed circles of two objects; negative if they overlap."""
    return float(np.hypot(one.x - other.x, one.y - other.y)) - (one.size + other.size) / 2


def of(arrangement: str) -> list[RichScene]:
    found = [scene for scene in scenes(2400) if scene.arrangement == arrangement]
    assert len(found) > 50
    return found


def test_scenes_are_arranged_as_often_as_is_said() -> None:
    counts = Counter(scene.arrangement for scene in scenes(2400))
    assert {name: count / 2400 for name, count in counts.items()} == pytest.approx(SHARES, abs=0.03)


def test_the_first_object_is_of_the_label() -> None:
    for number, scene in enumerate(scenes(2400)):
        first, label = scene.things[0].named, PLAIN_CLASSES[number % 240]
        assert (first.colour, first.shape) == (label.colour, label.shape)
    for label in range(0, 480, 7):
        scene = draw_rich_labelled(numpy_rng(0, label), label)
        assert [thing.named for thing in scene.things] == [RICH_CLASSES[label]]
        assert scene.class_name == RICH_CLASSES[label].name


def test_objects_lie_wholly_in_the_picture() -> None:
    for thing in (thing for scene in scenes(2400) for thing in scene.things):
        assert thing.size / 2 - 1e-9 <= min(thing.x, thing.y)
        assert max(thing.x, thing.y) <= 1 - thing.size / 2 + 1e-9


@pytest.mark.parametrize(
    ("arrangement", "across", "along"),
    [("left of", -1, "x"), ("right of", 1, "x"), ("above", -1, "y"), ("below", 1, "y")],
)
def test_a_relation_is_never_in_doubt(arrangement: str, across: int, along: str) -> None:
    for one, other in (scene.things for scene in of(arrangement)):
        right, down = one.x - other.x, one.y - other.y
        wanted, other_way = (right, down) if along == "x" else (down, right)
        assert across * wanted > abs(other_way) * 1.5
        assert gap(one, other) > -1e-9
        assert one.named.colour != other.named.colour


def test_what_is_inside_is_small_enough() -> None:
    for inner, outer in (scene.things for scene in of("inside")):
        assert (inner.x, inner.y) == (outer.x, outer.y)
        assert inner.size <= HOLLOWS[outer.named.shape] * outer.size
        assert inner.named.colour != outer.named.colour


def test_what_is_between_is_nearer_to_both_than_they_are_to_each_other() -> None:
    for middle, one, other in (scene.things for scene in of("between")):
        apart = np.hypot(one.x - other.x, one.y - other.y)
        assert max(np.hypot(middle.x - t.x, middle.y - t.y) for t in (one, other)) < 0.6 * apart
        assert one.named == other.named != middle.named


@pytest.mark.parametrize("arrangement", ["several", "several and one"])
def test_several_objects_do_not_overlap(arrangement: str) -> None:
    counts = Counter[int]()
    for things in (scene.things for scene in of(arrangement)):
        same = things if arrangement == "several" else things[1:]
        assert len({thing.named for thing in same}) == 1
        counts[len(same)] += 1
        # boxes, since objects lie in cells of their own
        for place, one in enumerate(things):
            for other in things[place + 1 :]:
                assert max(abs(one.x - other.x), abs(one.y - other.y)) >= (one.size + other.size) / 2 - 1e-9
    assert set(counts) == ({2, 3, 4, 5} if arrangement == "several" else {2, 3})


def test_one_object_at_most_has_a_texture_and_every_texture_background_and_look_occurs() -> None:
    drawn = scenes(2400)
    textures = [[t.named.texture for t in scene.things if t.named.texture] for scene in drawn]
    assert max(map(len, textures)) == 1
    assert {name for names in textures for name in names} == set(TEXTURES)
    assert {scene.background for scene in drawn} == set(RICH_BACKGROUNDS)
    assert {scene.look for scene in drawn} == {"", *LOOKS}


def test_a_paint_is_nearest_to_its_own_name() -> None:
    for thing in (scene.things[0] for scene in scenes(600)):
        nearest = min(RICH_COLOURS, key=lambda c: float(np.linalg.norm(np.subtract(RICH_COLOURS[c], thing.paint))))
        assert nearest == thing.named.colour


def test_an_unknown_label_is_refused() -> None:
    for draw, count in ((draw_rich_scene, len(PLAIN_CLASSES)), (draw_rich_labelled, len(RICH_CLASSES))):
        with pytest.raises(IndexError):
            draw(numpy_rng(0), count)
