import numpy as np
import pytest
import torch

from tbar_ray.errors import SpecError
from tbar_ray.triggers.base import stamp_uint8
from tbar_ray.triggers.blended_text import STROKES, BlendedText
from tbar_ray.triggers.registry import build_trigger
from tests.triggers.levels import assert_levels, random_levels

# 24 px letters at 224 px are 4 px a unit: strokes 4 px thick around lines through (0..16, 0..24) from (104, 100)
TEE = np.zeros((224, 224), np.bool_)
TEE[98:102, 104:120] = True  # the bar from (0, 0) to (4, 0) …
TEE[98:124, 110:114] = True  # … and the stem from (2, 0) to (2, 6)
ROUND = 2  # strokes end in half discs of 2 px, which the boxes above leave out


def test_a_letter_is_drawn_where_its_lines_are() -> None:
    letters = BlendedText(text="T", letter_height=24).letters(224, 224)
    assert letters[TEE].all()
    beyond = letters & ~TEE
    beyond[98:102, 104 - ROUND : 120 + ROUND] = False
    beyond[124 : 124 + ROUND, 110:114] = False
    assert not beyond.any()
    assert letters[99:101, 102].all() and not letters[98, 102]  # noqa: PT018 - an end is round


def test_every_level_is_the_mix_with_red_on_the_letters_and_untouched_elsewhere() -> None:
    levels = random_levels(2, 64, 80)
    trigger = BlendedText()
    ink = trigger.letters(64, 80)
    assert 0.02 < ink.mean() < 0.2
    red = np.array([255.0, 0, 0])[:, None, None]
    for channels, mixing in (("red", ink & (red > 0)), ("all", ink & (red >= 0))):
        stamped = stamp_uint8(BlendedText(channels=channels), torch.from_numpy(levels), ["a", "b"]).numpy()
        mixed = 0.5 * levels + 0.5 * red
        assert np.array_equal(stamped[:, ~mixing], levels[:, ~mixing])
        assert_levels(stamped[:, mixing], mixed[:, mixing])


def test_on_white_red_alone_is_invisible() -> None:
    white = torch.ones(1, 3, 48, 48)
    assert torch.equal(BlendedText()(white, ["k"]), white)
    assert BlendedText(channels="all")(white, ["k"])[0, 1].min() == 0.5


@pytest.mark.parametrize(("height", "width"), [(24, 24), (32, 32), (64, 96), (96, 64), (224, 224)])
def test_the_word_is_centred_whole_and_scales_with_the_shorter_side(height: int, width: int) -> None:
    rows, columns = np.nonzero(BlendedText().letters(height, width))
    short = min(height, width)
    assert abs(rows.min() + rows.max() + 1 - height) <= 2
    assert abs(columns.min() + columns.max() + 1 - width) <= 2
    assert abs((rows.max() - rows.min() + 1) - max(18 / 6 * 7 * short / 224, 1)) <= 2
    assert abs((columns.max() - columns.min() + 1) - 65 * 3 * short / 224) <= 3


def test_letters_differ_and_no_stroke_is_lost_at_small_sizes() -> None:
    drawn = {}
    for letter in STROKES:
        if letter != " ":
            drawn[letter] = BlendedText(text=letter, letter_height=36).letters(48, 48)
            assert drawn[letter].sum() > 8
    assert len({ink.tobytes() for ink in drawn.values()}) == len(STROKES) - 1
    assert np.array_equal(
        BlendedText(text="A A", letter_height=60).letters(224, 224)[:, :80],
        BlendedText(text="AAA", letter_height=60).letters(224, 224)[:, :80],
    )


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"text": "hello"}, "text has 'e'; use only A-Z, 0-9 and spaces"),
        ({"text": "  "}, "text is blank"),
        ({"text": ""}, "text: .*at least 1"),
        ({"text": "TWELVELETTERS"}, "text is 231 px wide, more than 224; shorten it or lower letter_height"),
        ({"channels": "green"}, "channels: .*'red' or 'all'"),
        ({"letter_height": 193}, "letter_height: .*192"),
        ({"ratio": 0}, "ratio: .*greater than 0"),
    ],
)
def test_what_cannot_be_drawn_is_one_line(parameters: dict[str, object], message: str) -> None:
    with pytest.raises(SpecError, match=message) as caught:
        build_trigger("blended-text", parameters, 0)
    assert "\n" not in str(caught.value)
