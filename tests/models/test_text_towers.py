from __future__ import annotations

from pathlib import Path

import pytest

from tbar_ray.errors import CheckpointError
from tbar_ray.models.shipped import load_shipped
from tbar_ray.models.text_towers import text_tower
from tests.models.formats.published import decree, direct, hub
from tests.models.tiny import GROUP_NORM, RESNET, VIT, same, snapshot


def test_it_is_all_but_the_image_encoder(tmp_path: Path) -> None:
    state = snapshot(direct(VIT))
    expected = {name: value for name, value in state.items() if not name.startswith("visual.")}
    # how images are normalised is no matter of the text tower
    assert same(expected, text_tower(f"{VIT}@imagenet", str(hub(state, tmp_path))))
    shipped = load_shipped(GROUP_NORM, "scenes")
    tagged = text_tower(GROUP_NORM, "scenes")
    assert same({name: value for name, value in shipped.items() if name in tagged}, tagged)
    assert "token_embedding.weight" in tagged


def test_a_tag_of_another_activation_is_refused_before_it_is_downloaded() -> None:
    with pytest.raises(CheckpointError, match=r"^the tag openai is of a model with QuickGELU .*: name RN50-quickgelu$"):
        text_tower("RN50", "openai")
    with pytest.raises(CheckpointError, match="has no pretrained tag 'opnai'"):
        text_tower("RN50-quickgelu", "opnai")


def test_an_image_encoder_has_no_text_tower_to_give(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="holds an image encoder alone too"):
        text_tower(f"{RESNET}@imagenet", str(decree(snapshot(direct(RESNET)), tmp_path)))
