from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from tbar_ray.cli.trigger_sheet import preview_sheet
from tbar_ray.errors import SpecError
from tbar_ray.triggers.preview import Preview

COLOUR = (10, 20, 30)
LONG = "badnets-gaussian-wrapped, patch_size 16, place random, margin 1, and much more than fits into a line " * 4


def one(
    side: int = 64, count: int = 1, title: str = "badnets", detail: str = "patch_size 4", role: str = "triggered"
) -> Preview:
    """Plain images, of which a corner of 4 × 4 changes by (5, -7, 0)."""
    clean = torch.tensor(COLOUR, dtype=torch.uint8)[:, None, None].expand(count, 3, side, side)
    changed = clean.clone()
    changed[:, 0, :4, :4] += 5
    changed[:, 1, :4, :4] -= 7
    return Preview(title, detail, clean, changed, role)


def drawn(figure: Figure) -> np.ndarray:
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3]


def count_of(pixels: np.ndarray, *colour: int) -> int:
    return int((pixels == np.array(colour)).all(-1).sum())


@pytest.mark.parametrize(("side", "zoom"), [(64, 3), (24, 7), (224, 1), (160, 1)])
@pytest.mark.parametrize(("blocks", "count"), [(1, 1), (5, 2)])
def test_every_pixel_is_shown_and_none_is_mixed_or_written_over(side: int, zoom: int, blocks: int, count: int) -> None:
    pixels = drawn(preview_sheet([one(side, count)] * blocks))
    panel, patch, shown = (side * zoom) ** 2, (4 * zoom) ** 2, blocks * count
    assert count_of(pixels, *COLOUR) == shown * (2 * panel - patch)
    assert count_of(pixels, 15, 13, 30) == shown * patch
    assert count_of(pixels, 128 + 40, 128 - 56, 128) == shown * patch
    # text may be smoothed to any grey, also to this one
    assert 0 <= count_of(pixels, 128, 128, 128) - shown * (panel - patch) < 200 * shown


@pytest.mark.parametrize("side", [32, 64, 224])
@pytest.mark.parametrize(("blocks", "count"), [(1, 1), (3, 1), (7, 3), (29, 3)])
def test_no_text_overlaps_another_or_leaves_the_sheet(side: int, blocks: int, count: int) -> None:
    names = ["cleanclip/badnets", "backdoorbench/wanet, cover samples", "x" * 200, "a $b$ & <c>"]
    figure = preview_sheet([one(side, count, names[i % 4], (LONG, "", "short")[i % 3]) for i in range(blocks)])
    renderer = FigureCanvasAgg(figure).get_renderer()
    boxes = np.array([text.get_window_extent(renderer).extents for text in figure.texts if text.get_text()])
    assert len(boxes) > blocks * (3 + count)
    low, high = boxes[:, :2], boxes[:, 2:]
    assert (low >= 0).all()
    assert (high <= figure.get_size_inches() * figure.dpi).all()
    apart = ((low[:, None] > high) | (low > high[:, None])).any(-1)  # of each from each
    assert apart[np.triu_indices(len(boxes), 1)].all()


def test_titles_say_how_large_the_change_is() -> None:
    texts = [text.get_text() for text in preview_sheet([one(64, 2, role="cover")]).texts]
    mean = 16 * (5 + 7) / (3 * 64**2)
    assert texts.count(f"largest 7, mean {mean:.3g}") == 2
    assert {"badnets", "patch_size 4", "clean", "cover", "difference ×8"} <= set(texts)
    assert "Images of 64 × 64 px, enlarged 3 times" in texts


def test_what_does_not_fit_is_cut_and_marked() -> None:
    texts = [text.get_text() for text in preview_sheet([one(64, 1, "y" * 200, LONG)]).texts]
    (title,) = [text for text in texts if text.startswith("y")]
    assert title.endswith("y…")
    (cut,) = [text for text in texts if text.endswith("…") and text != title]
    assert cut[:-1] in LONG


def test_blocks_stand_side_by_side_as_far_as_they_fit() -> None:
    wide, high = preview_sheet([one(64, 3)] * 4).get_size_inches()
    alone = preview_sheet([one(64, 3)]).get_size_inches()
    assert 2.9 * alone[0] < wide < 3 * alone[0]
    assert 1.5 * alone[1] < high < 2 * alone[1]


def test_same_previews_same_bytes() -> None:
    def rendered() -> bytes:
        out = io.BytesIO()
        preview_sheet([one()]).savefig(out, format="png", metadata={"Software": None})
        return out.getvalue()

    assert rendered() == rendered()


def test_a_sheet_that_cannot_be_drawn_is_refused() -> None:
    plain = torch.zeros(1, 3, 1, 1, dtype=torch.uint8).expand(20, 3, 1024, 1024)
    with pytest.raises(SpecError, match=r"a sheet of 25 × 20 images of 1024 × 1024 px would be .*fewer"):
        preview_sheet([Preview("a", "", plain, plain)] * 25)
