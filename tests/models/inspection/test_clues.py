from __future__ import annotations

import pytest

from tbar_ray.models.formats.layouts import IMAGE_ENCODER, OPEN_CLIP, Layout
from tbar_ray.models.formats.tensor_info import TensorInfo
from tbar_ray.models.formats.transformers_names import TRANSFORMERS
from tbar_ray.models.inspection.clues import clues
from tbar_ray.models.inspection.shapes import expected_shapes

TEXT = {"texts of 77 tokens", "a vocabulary of 49,408 and a text encoder 512 wide"}


@pytest.mark.parametrize(
    ("architecture", "layout", "expected"),
    [
        (
            "RN50",
            OPEN_CLIP,
            {*TEXT, "an embedding of 1024", "a ResNet 64 wide in its first stage", "images of 224 pixels"},
        ),
        (
            "ViT-B-32",
            OPEN_CLIP,
            {
                *TEXT,
                "an embedding of 512",
                "a vision transformer 768 wide on patches of 32 pixels",
                "7 × 7 patches and a class token",
            },
        ),
        ("RN50x4", IMAGE_ENCODER, {"a ResNet 80 wide in its first stage", "images of 288 pixels"}),
        (
            "ViT-L-14-336",
            IMAGE_ENCODER,
            {"a vision transformer 1024 wide on patches of 14 pixels", "576 patches and a class token"},
        ),
        (
            "ViT-B-16",
            TRANSFORMERS,
            {
                *TEXT,
                "an embedding of 512",
                "a vision transformer 768 wide on patches of 16 pixels",
                "14 × 14 patches and a class token",
            },
        ),
    ],
)
def test_single_tensors_tell_widths_and_sizes(architecture: str, layout: Layout, expected: set[str]) -> None:
    shapes = expected_shapes(architecture)
    assert shapes is not None
    tensors = {
        name: part
        for own, shape in shapes.items()
        for name, part in layout.parts(own, TensorInfo("float32", shape)).items()
    }
    found = clues(tensors)
    assert {clue.tells for clue in found if clue.shape} == expected
    assert all(tensors[clue.name].shape == clue.shape for clue in found if clue.shape)


def test_rows_of_blocks_are_counted() -> None:
    shapes = expected_shapes("RN50")
    assert shapes is not None
    found = clues({name: TensorInfo("float32", shape) for name, shape in shapes.items()})
    told = {clue.name: clue.tells for clue in found if not clue.shape}
    assert told["visual.layer3.*"] == "6 blocks"
    assert told["transformer.resblocks.*"] == "12 blocks"
    assert len(told) == 5
