import pytest

from tbar_ray.errors import SpecError
from tbar_ray.models.architectures import (
    NORMALISATIONS,
    Variant,
    architecture_config,
    attention_heads,
    image_size,
    normalisation_of,
    normalises_over_batches,
    variant,
    weights_size,
)
from tbar_ray.models.factory import preprocessing
from tbar_ray.models.library import open_clip
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


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("RN50", Variant("RN50")),
        ("RN50-quickgelu", Variant("RN50-quickgelu")),  # open_clip has a configuration of that name
        ("tbar-ViT-tiny-quickgelu", Variant("tbar-ViT-tiny", True)),
        ("tbar-ViT-tiny-quickgelu@imagenet", Variant("tbar-ViT-tiny", True, "imagenet")),
        ("RN50@unnormalised", Variant("RN50", False, "unnormalised")),
        ("tbar-GN-pico@128px", Variant("tbar-GN-pico", image_size=128)),
        ("ViT-B-32@unnormalised@384px", Variant("ViT-B-32", False, "unnormalised", 384)),
        ("ViT-B-32@384px@unnormalised", Variant("ViT-B-32", False, "unnormalised", 384)),
    ],
)
def test_a_name_may_carry_activation_normalisation_and_image_size(name: str, expected: Variant) -> None:
    assert variant(name) == expected
    assert bool(architecture_config(name).get("quick_gelu", False)) is ("quickgelu" in name)
    assert normalisation_of(name) == NORMALISATIONS[expected.normalisation or "clip"]
    assert image_size(name) == (expected.image_size or image_size(expected.base))


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("RN50@imagnet", "no normalisation or size 'imagnet'; did you mean 'imagenet'"),
        ("RN50@", "no normalisation or size ''; known: 128px, clip, imagenet"),
        ("RN50@128", "no normalisation or size '128'; did you mean '128px'"),
        ("RN50@8px", "images have sides of 16 to 1024 px, not 8"),
        ("RN50@64px@128px", "no normalisation or size '128px'"),
        ("RN50@clip@imagenet", "no normalisation or size 'imagenet'"),
    ],
)
def test_an_unknown_normalisation_or_size_names_the_known_ones(name: str, hint: str) -> None:
    with pytest.raises(SpecError, match=hint):
        architecture_config(name)


@pytest.mark.parametrize("name", ["clip", "imagenet", "inception"])
def test_normalisations_are_those_of_open_clip(name: str) -> None:
    constants = open_clip().constants
    mean, std = (
        getattr(constants, f"{name.replace('clip', 'openai_dataset').upper()}_{part}") for part in ("MEAN", "STD")
    )
    assert (NORMALISATIONS[name].mean, NORMALISATIONS[name].std) == (mean, std)


@pytest.mark.parametrize("name", [VIT, RESNET])
def test_heads_are_those_of_the_model(name: str) -> None:
    image, text = attention_heads(architecture_config(name))
    model = tiny(name)
    visual = model.visual.attnpool if name == RESNET else model.visual.transformer.resblocks[0].attn  # type: ignore[union-attr,index]
    assert image == visual.num_heads  # type: ignore[union-attr]
    assert text == model.transformer.resblocks[0].attn.num_heads  # type: ignore[union-attr,index]
