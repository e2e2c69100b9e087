import torch

from tbar_ray.inversion.b3d import B3d, stamp
from tbar_ray.inversion.target import infer_target
from tests.inversion.planted import CORNER, SIDE, TARGET, subject

SEARCH = B3d(cells=4, steps=60, samples=16)


def test_the_cell_of_the_patch_is_found_without_gradients() -> None:
    planted = subject("patch", gain=20.0)
    asked = 0
    answer = planted.model.encode_image

    def counted(pixels: torch.Tensor, normalize: bool = False) -> torch.Tensor:
        nonlocal asked
        asked += len(pixels)
        assert not torch.is_grad_enabled()
        found: torch.Tensor = answer(pixels, normalize)  # type: ignore[operator]
        return found

    planted.model.encode_image = counted  # type: ignore[assignment]
    found = SEARCH.invert(planted, 0)
    assert found.target == TARGET
    assert found.score is not None
    assert found.score > 3
    assert found.trigger is not None
    mask = found.trigger.mask()
    assert mask[CORNER, CORNER].mean() > 2 * mask.mean()
    assert found.facts["queries"] == 60 * 16 * 4 * 8
    judged = 24
    assert asked == found.facts["queries"] + judged
    planted.model.encode_image = answer
    assert infer_target(planted, found.trigger).target == TARGET


def test_no_class_of_a_clean_model_stands_out() -> None:
    score = SEARCH.invert(subject("clean"), 0).score
    assert score is not None
    assert score < 3


def test_a_draw_covers_the_cells_of_its_mask_with_their_colours() -> None:
    images = subject("clean").images[:2].float() / 255
    masks, colours = torch.zeros(1, 1, 2, 2), torch.full((1, 3, 2, 2), 0.25)
    masks[0, 0, 1, 0] = 1
    stamped = stamp(images, [masks, colours])[0]
    half = SIDE // 2
    assert (stamped[:, :, half:, :half] == 0.25).all()
    torch.testing.assert_close(stamped[:, :, :half], images[:, :, :half])
    torch.testing.assert_close(stamped[:, :, half:, half:], images[:, :, half:, half:])
