import pytest

from tbar_ray.errors import SpecError
from tbar_ray.models.architectures import architecture_config, image_size, normalises_over_batches, weights_size
from tbar_ray.models.factory import preprocessing
from tbar_ray.models.tokenizer import build_tokenizer
from tests.models.tiny import RESNET, VIT, tiny


def test_open_clips_architectures_and_ours_are_known() -> None:
    assert architecture_config("ViT-B-32")["embed_dim"] == 512
    assert architecture_config("RN50")["vision_cfg"]["layers"] == [3, 4, 6, 3]
    assert architecture_config("tbar-ViT-tiny")["vision_cfg"]["image_size"] == 48
    assert architecture_config("tbar-RN-tiny")["text_cfg"]["context_length"] == 16


@pytest.mark.parametrize(
    ("name", "hint"), [("ViT-B32", "did you mean .*'ViT-B-32'"), ("tbar-vit-tiny", "'tbar-ViT-tiny'"), ("", "known:")]
)
def test_an_unknown_architecture_names_the_nearest(name: str, hint: str) -> None:
    with pytest.raises(SpecError, match=hint) as caught:
        architecture_config(name)
    assert "\n" not in str(caught.value)
    with pytest.raises(SpecError, match=f"unknown model architecture '{name}'"):
        build_tokenizer(name)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("RN50", True),
        ("tbar-RN-tiny", True),
        ("ViT-B-32", False),
        ("tbar-GN-pico", False),
        ("tbar-ConvNeXt-tiny", False),
    ],
)
def test_which_architectures_have_batch_norm(name: str, expected: bool) -> None:
    assert normalises_over_batches(name) is expected


@pytest.mark.parametrize("name", [RESNET, VIT])
def test_the_size_of_weights_is_estimated_without_building_the_model(name: str) -> None:
    model = tiny(name)
    assert weights_size(name) == pytest.approx(sum(4 * weight.numel() for weight in model.parameters()), rel=0.1)
    assert image_size(name) == preprocessing(model).size


def test_published_sizes_are_estimated() -> None:
    assert weights_size("RN50") == pytest.approx(4 * 102.0e6, rel=0.05)  # open_clip's model profile
    assert weights_size("ViT-B-32") == pytest.approx(4 * 151.3e6, rel=0.05)


def test_the_tokenizer_has_the_architectures_context() -> None:
    tokens = build_tokenizer("tbar-ViT-tiny")(["a photo of a red circle.", "x"])
    assert tokens.shape == (2, 16)
    assert not tokens.is_floating_point()
    start, end = 49406, 49407  # CLIP's byte-pair vocabulary
    assert tokens[:, 0].tolist() == [start, start]
    assert tokens[1].tolist()[2:] == [end] + [0] * 13
