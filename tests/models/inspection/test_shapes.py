from __future__ import annotations

import pytest
import torch

from tbar_ray.models.architectures import architecture_config
from tbar_ray.models.inspection.shapes import expected_shapes, text_shapes
from tbar_ray.models.library import open_clip
from tests.models.tiny import GROUP_NORM, tiny


@pytest.mark.parametrize(
    "name",
    [
        "RN50-quickgelu",
        "RN50x4",
        "ViT-B-32",
        "ViT-B-16-plus-240",
        "ViT-L-14-336",
        "ViT-H-14-CLIPA",
        "ViT-bigG-14",
        "tbar-RN-pico",
        "tbar-ViT-pico",
    ],
)
def test_shapes_are_those_of_the_model_that_open_clip_builds(name: str) -> None:
    config = architecture_config(name)
    with torch.device("meta"):
        model = open_clip().model.CLIP(
            config["embed_dim"], config["vision_cfg"], config["text_cfg"], config.get("quick_gelu", False)
        )
    assert expected_shapes(name) == {key: tuple(value.shape) for key, value in model.state_dict().items()}


def test_what_must_be_built_has_the_shapes_of_its_text_tower() -> None:
    assert expected_shapes(GROUP_NORM) is None
    expected = {k: tuple(v.shape) for k, v in tiny(GROUP_NORM).state_dict().items() if not k.startswith("visual.")}
    assert text_shapes(GROUP_NORM) == expected


@pytest.mark.parametrize("name", ["coca_ViT-B-32", "ViT-M-16-alt", "ViT-B-16-SigLIP", "roberta-ViT-B-32"])
def test_architectures_of_other_code_are_not_guessed_at(name: str) -> None:
    assert expected_shapes(name) is None
