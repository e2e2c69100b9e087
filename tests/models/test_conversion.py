from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from torch import Tensor
from torch.nn import functional

import tbar_ray as tbar
from tbar_ray.errors import CheckpointError, SpecError
from tbar_ray.models.checkpoint import load_state_dict
from tbar_ray.models.conversion import Target, convert
from tbar_ray.models.library import open_clip
from tests.models.formats.published import (
    IMAGE_ENCODERS,
    PUBLISHED,
    Malicious,
    State,
    cleanclip,
    content_of,
    direct,
    in_transformers_names,
    own,
)
from tests.models.tiny import RESNET, VIT, pictures, same, snapshot, tokenizer


@pytest.mark.parametrize("name", [name for name in PUBLISHED if name not in IMAGE_ENCODERS])
def test_round_trips_through_every_format_keep_every_bit(name: str, tmp_path: Path) -> None:
    writer, architecture = PUBLISHED[name]
    state = {
        key: value.double() if key == "ln_final.bias" else value
        for key, value in snapshot(direct(architecture)).items()
    }
    path = writer(state, tmp_path)
    ways: list[Target] = ["safetensors", "open_clip"]
    if architecture.startswith(VIT):
        ways.append("transformers")
    for number, way in enumerate(ways):
        out = tmp_path / f"{number}{'.safetensors' if way == 'safetensors' else ''}"
        done = convert(path, way, out, architecture=architecture)
        assert done.tensors == len(state)
        again = load_state_dict(out)
        assert same(state, again)
        assert {key: value.dtype for key, value in again.items()} == {key: value.dtype for key, value in state.items()}
        path = out


@pytest.mark.parametrize("architecture", [RESNET, VIT])
def test_open_clip_loads_the_folder(architecture: str, tmp_path: Path) -> None:
    model = direct(f"{architecture}-quickgelu@imagenet")
    convert(
        own(snapshot(model), tmp_path), "open_clip", tmp_path / "hub", architecture=f"{architecture}-quickgelu@imagenet"
    )
    loaded = open_clip().create_model(f"local-dir:{tmp_path / 'hub'}").to(memory_format=torch.channels_last).eval()
    assert same(snapshot(model), snapshot(loaded))
    assert tuple(loaded.visual.image_mean) == (0.485, 0.456, 0.406)
    images, tokens = pictures(model, 2).float() / 255, tokenizer()(["a cat"])
    with torch.no_grad():
        assert torch.equal(model.encode_image(images), loaded.encode_image(images))  # type: ignore[operator]
        assert torch.equal(model.encode_text(tokens), loaded.encode_text(tokens))  # type: ignore[operator]


def test_the_folder_of_transformers_has_its_names_and_computes_the_same_by_its_rules(tmp_path: Path) -> None:
    model = direct(f"{VIT}-quickgelu")
    state = snapshot(model)
    convert(own(state, tmp_path), "transformers", tmp_path / "hf", architecture=f"{VIT}-quickgelu")
    written, expected = content_of(tmp_path / "hf"), in_transformers_names(state)
    del expected["text_model.embeddings.position_ids"]  # no longer written by transformers
    assert same(expected, written)
    with safe_open(tmp_path / "hf" / "model.safetensors", "pt") as file:
        assert file.metadata() == {"format": "pt"}
    config = json.loads((tmp_path / "hf" / "config.json").read_text())
    images, tokens = pictures(model, 2).float() / 255, tokenizer()(["a cat", "two dogs"])
    with torch.no_grad():
        torch.testing.assert_close(clip_vision(written, config, images), model.encode_image(images))  # type: ignore[operator]
        torch.testing.assert_close(clip_text(written, config, tokens), model.encode_text(tokens))  # type: ignore[operator]


def clip_encoder(state: State, config: dict[str, int], tower: str, x: Tensor, causal: bool) -> Tensor:
    """The encoder of transformers' modeling_clip.py, written a second time."""
    heads = config["num_attention_heads"]
    for number in range(config["num_hidden_layers"]):
        before = f"{tower}.encoder.layers.{number}"

        def linear(name: str, x: Tensor, before: str = before) -> Tensor:
            return functional.linear(x, state[f"{before}.{name}.weight"], state[f"{before}.{name}.bias"])

        def norm(name: str, x: Tensor, before: str = before) -> Tensor:
            return functional.layer_norm(
                x, x.shape[-1:], state[f"{before}.{name}.weight"], state[f"{before}.{name}.bias"], 1e-5
            )

        y = norm("layer_norm1", x)
        q, k, v = (linear(f"self_attn.{p}_proj", y).unflatten(-1, (heads, -1)).transpose(1, 2) for p in "qkv")
        attended = functional.scaled_dot_product_attention(q, k, v, is_causal=causal).transpose(1, 2).flatten(2)
        x = x + linear("self_attn.out_proj", attended)
        inner = linear("mlp.fc1", norm("layer_norm2", x))
        assert config["hidden_act"] == "quick_gelu"
        x = x + linear("mlp.fc2", inner * torch.sigmoid(1.702 * inner))
    return x


def clip_vision(state: State, config: dict[str, dict[str, int]], images: Tensor) -> Tensor:
    about, tower = config["vision_config"], "vision_model"
    patches = functional.conv2d(images, state[f"{tower}.embeddings.patch_embedding.weight"], stride=about["patch_size"])
    x = patches.flatten(2).transpose(1, 2)
    x = torch.cat([state[f"{tower}.embeddings.class_embedding"].expand(len(x), 1, -1), x], 1)
    x = x + state[f"{tower}.embeddings.position_embedding.weight"]
    ends = [(state[f"{tower}.{n}.weight"], state[f"{tower}.{n}.bias"]) for n in ("pre_layrnorm", "post_layernorm")]
    x = clip_encoder(state, about, tower, functional.layer_norm(x, x.shape[-1:], *ends[0]), causal=False)
    pooled = functional.layer_norm(x[:, 0], x.shape[-1:], *ends[1])
    return functional.linear(pooled, state["visual_projection.weight"])


def clip_text(state: State, config: dict[str, dict[str, int]], tokens: Tensor) -> Tensor:
    about, tower = config["text_config"], "text_model"
    x = state[f"{tower}.embeddings.token_embedding.weight"][tokens]
    x = clip_encoder(
        state, about, tower, x + state[f"{tower}.embeddings.position_embedding.weight"][: tokens.shape[1]], causal=True
    )
    norm = (state[f"{tower}.final_layer_norm.weight"], state[f"{tower}.final_layer_norm.bias"])
    ends = (tokens == about["eos_token_id"]).int().argmax(-1)
    pooled = functional.layer_norm(x, x.shape[-1:], *norm)[torch.arange(len(x)), ends]
    return functional.linear(pooled, state["text_projection.weight"])


@pytest.mark.parametrize("name", sorted(IMAGE_ENCODERS))
def test_a_text_tower_is_added_on_demand(name: str, tmp_path: Path) -> None:
    writer, architecture = PUBLISHED[name]
    state = snapshot(direct(architecture))
    path, text = writer(state, tmp_path), own(state, tmp_path)
    convert(path, "safetensors", tmp_path / "full.safetensors", architecture=architecture, text_from=str(text))
    assert same(state, load_state_dict(tmp_path / "full.safetensors"))
    # a file that was told its architecture needs no name, and keeps what was said
    assert tbar.load_model(tmp_path / "full.safetensors", device="cpu").architecture == architecture
    with pytest.raises(CheckpointError, match="add a text tower with --text-from"):
        convert(path, "open_clip", tmp_path / "hub", architecture=architecture)
    with pytest.raises(CheckpointError, match="holds an image encoder alone too"):
        convert(path, "open_clip", tmp_path / "hub", architecture=architecture, text_from=str(path))
    with pytest.raises(CheckpointError, match="leave --text-from out"):
        convert(text, "open_clip", tmp_path / "hub", architecture=architecture, text_from=str(text))


def test_an_architecture_that_is_named_counts_more_than_a_layout(tmp_path: Path) -> None:
    """open_clip's training writes CleanCLIP's entries where it has no scaler."""
    model = direct(RESNET)
    done = convert(cleanclip(snapshot(model), tmp_path), "safetensors", tmp_path / "m.safetensors", architecture=RESNET)
    assert "CleanCLIP's model code has QuickGELU alone" in (done.note or "")
    assert same(snapshot(model), snapshot(tbar.load_model(RESNET, tmp_path / "m.safetensors", device="cpu").module))
    with pytest.raises(CheckpointError, match=f"its metadata name {RESNET}.*: name {RESNET}$"):
        tbar.load_model(f"{RESNET}-quickgelu", tmp_path / "m.safetensors", device="cpu")


def test_what_is_no_part_of_the_model_is_named(tmp_path: Path) -> None:
    writer, architecture = PUBLISHED["CleanCLIP finetune.pt"]
    path = writer(snapshot(direct(architecture)), tmp_path)
    done = convert(path, "safetensors", tmp_path / "m.safetensors", architecture=architecture)
    assert set(done.left_out) == {"linear.weight", "linear.bias"}


def test_what_a_file_says_of_its_model_is_not_lost(tmp_path: Path) -> None:
    """A safetensors file would hold the tensors alone, and its model compute with another activation."""
    folder = PUBLISHED["transformers"][0](snapshot(direct(VIT)), tmp_path)
    assert convert(folder, "safetensors", tmp_path / "m.safetensors").architecture == VIT
    with pytest.raises(CheckpointError, match=f"its metadata name {VIT}"):
        tbar.load_model(f"{VIT}-quickgelu", tmp_path / "m.safetensors", device="cpu")
    with pytest.raises(SpecError, match=f"name the architecture too: it fits {RESNET}-quickgelu"):
        convert(cleanclip(snapshot(direct(RESNET)), tmp_path), "safetensors", tmp_path / "m.safetensors")
    silent = own(snapshot(direct(VIT)), tmp_path)
    assert convert(silent, "safetensors", silent).architecture is None  # in place, too
    assert same(snapshot(direct(VIT)), load_state_dict(silent))


def test_what_cannot_be_converted_is_one_line(tmp_path: Path) -> None:
    path = own(snapshot(direct(RESNET)), tmp_path)
    for way, out, architecture, told in (
        ("transformers", "hf", RESNET, "CLIPModel cannot compute .*: its image encoder is a ResNet"),
        ("open_clip", "hub", None, "name the architecture too"),
        ("open_clip", "hub", VIT, "is not a checkpoint of"),
        ("open_clip", "hub.pt", RESNET, "writes a folder"),
        ("safetensors", "m.pt", None, r"name a \.safetensors file"),
    ):
        with pytest.raises((CheckpointError, SpecError), match=told) as caught:
            convert(path, way, tmp_path / out, architecture=architecture)  # type: ignore[arg-type]
        assert "\n" not in str(caught.value)
    assert not (tmp_path / "hub").exists()


def test_pickled_code_is_not_run_by_a_conversion(tmp_path: Path) -> None:
    torch.save({"state_dict": {"a": torch.zeros(1)}, "args": Malicious(tmp_path / "executed")}, tmp_path / "m.pt")
    with pytest.raises(CheckpointError, match=r"posix\.mkdir.* is refused"):
        convert(tmp_path / "m.pt", "safetensors", tmp_path / "m.safetensors")
    assert not (tmp_path / "executed").exists()
