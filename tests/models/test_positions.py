from pathlib import Path

import pytest
import torch

from tbar_ray.errors import CheckpointError
from tbar_ray.models.checkpoint import save_state_dict
from tbar_ray.models.factory import create_model, preprocessing, require_fit
from tbar_ray.models.positions import POSITIONS, at_size
from tests.models.tiny import RESNET, VIT, tiny

SIZE = preprocessing(tiny(VIT)).size


def test_a_transformer_takes_images_of_another_size_with_the_same_weights(tmp_path: Path) -> None:
    model, file = tiny(VIT), tmp_path / "model.safetensors"
    save_state_dict(dict(model.state_dict()), file)
    larger = create_model(f"{VIT}@{2 * SIZE}px", pretrained=str(file))
    assert preprocessing(larger).size == 2 * SIZE
    assert larger.encode_image(torch.zeros(1, 3, 2 * SIZE, 2 * SIZE)).shape[0] == 1  # type: ignore[operator]
    own, found = model.state_dict(), larger.state_dict()
    assert all(torch.equal(own[name], found[name]) for name in own if name != POSITIONS)
    assert torch.equal(own[POSITIONS][0], found[POSITIONS][0])  # the class token's
    require_fit(model.state_dict(), "a file", f"{VIT}@{2 * SIZE}px")


def test_positions_of_the_same_size_keep_their_bits() -> None:
    state = tiny(VIT).state_dict()
    shapes = {name: tuple(value.shape) for name, value in state.items()}
    assert torch.equal(at_size(state, shapes, f"{VIT}@{SIZE}px")[POSITIONS], state[POSITIONS])


def test_linear_positions_stay_linear_at_twice_the_size() -> None:
    row = torch.arange(4.0).repeat(4)  # the column of each place of a grid of 4
    state = {POSITIONS: torch.cat([torch.zeros(1, 1), row[:, None]])}
    grid = at_size(state, {POSITIONS: (65, 1)}, f"{VIT}@64px")[POSITIONS][1:].reshape(8, 8)
    torch.testing.assert_close(grid, grid[:1].expand(8, 8))
    assert grid[0, 2:6].tolist() == pytest.approx([0.75, 1.25, 1.75, 2.25], abs=0.05)


def test_without_a_size_in_the_name_other_positions_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "model.safetensors"
    save_state_dict(dict(create_model(f"{VIT}@{2 * SIZE}px").state_dict()), file)
    with pytest.raises(CheckpointError, match="1 of another shape"):
        create_model(VIT, pretrained=str(file))


def test_positions_that_are_no_square_are_refused(tmp_path: Path) -> None:
    state, file = dict(tiny(VIT).state_dict()), tmp_path / "model.safetensors"
    state[POSITIONS] = state[POSITIONS][:-1].contiguous()
    save_state_dict(state, file)
    with pytest.raises(CheckpointError, match="1 of another shape"):
        create_model(f"{VIT}@{2 * SIZE}px", pretrained=str(file))


def test_a_resnets_attention_pooling_is_not_interpolated(tmp_path: Path) -> None:
    model, file = tiny(RESNET), tmp_path / "model.safetensors"
    save_state_dict(dict(model.state_dict()), file)
    with pytest.raises(CheckpointError, match="of another shape"):
        create_model(f"{RESNET}@{2 * preprocessing(model).size}px", pretrained=str(file))


def test_a_shipped_convolutional_encoder_takes_larger_images() -> None:
    larger, own = (create_model(name, pretrained="scenes") for name in ("tbar-GN-pico@128px", "tbar-GN-pico"))
    assert preprocessing(larger).size == 128
    found = larger.state_dict()
    assert all(torch.equal(value, found[name]) for name, value in own.state_dict().items())
    assert larger.encode_image(torch.zeros(1, 3, 128, 128)).shape == (1, 64)  # type: ignore[operator]
