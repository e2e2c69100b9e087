"""Small checkpoints as each program writes them. transformers' names are written a second time here, one by one."""

from __future__ import annotations

import json
import os
from argparse import Namespace
from collections.abc import Callable
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from tbar_ray.models.architectures import architecture_config
from tbar_ray.models.library import open_clip
from tests.models.tiny import RESNET, VIT

State = dict[str, Tensor]


def direct(architecture: str, seed: int = 3) -> nn.Module:
    """A copy of open_clip's own model in the memory layout of `create_model`, on which rounding depends."""
    return deepcopy(_made(architecture, seed))


@cache
def _made(architecture: str, seed: int) -> nn.Module:
    base, _, rest = architecture.partition("-quickgelu")
    torch.manual_seed(seed)
    name = base.partition("@")[0]
    model: nn.Module = open_clip().create_model(
        name, force_quick_gelu=rest != "" or architecture.endswith("-quickgelu")
    )
    for buffer, value in model.named_buffers():
        if buffer.endswith("running_mean"):
            value.copy_(torch.randn(value.shape))
        elif value.dtype == torch.int64:
            value.fill_(7)
    return model.to(memory_format=torch.channels_last).eval()  # type: ignore[call-overload,no-any-return]


def visual(state: State) -> State:
    return {name.removeprefix("visual."): value for name, value in state.items() if name.startswith("visual.")}


def module(state: State) -> State:
    return {f"module.{name}": value for name, value in state.items()}


def optimizer() -> dict[str, Any]:
    """With a learning rate from numpy's cosine."""
    group = {"lr": np.float64(1e-3), "betas": (0.9, 0.999), "params": [0]}
    return {"state": {0: {"step": torch.tensor(3.0)}}, "param_groups": [group]}


def in_transformers_names(state: State) -> State:
    """open_clip's names and shapes into CLIPModel's, one by one."""
    theirs: State = {
        "logit_scale": state["logit_scale"],
        "text_projection.weight": state["text_projection"].T,
        "visual_projection.weight": state["visual.proj"].T,
        "text_model.embeddings.token_embedding.weight": state["token_embedding.weight"],
        "text_model.embeddings.position_embedding.weight": state["positional_embedding"],
        "text_model.embeddings.position_ids": torch.arange(len(state["positional_embedding"]))[None],
        "vision_model.embeddings.class_embedding": state["visual.class_embedding"],
        "vision_model.embeddings.patch_embedding.weight": state["visual.conv1.weight"],
        "vision_model.embeddings.position_embedding.weight": state["visual.positional_embedding"],
    }
    for kind in ("weight", "bias"):
        theirs[f"text_model.final_layer_norm.{kind}"] = state[f"ln_final.{kind}"]
        theirs[f"vision_model.pre_layrnorm.{kind}"] = state[f"visual.ln_pre.{kind}"]
        theirs[f"vision_model.post_layernorm.{kind}"] = state[f"visual.ln_post.{kind}"]
        for tower, own, layers in (("text_model", "transformer", 2), ("vision_model", "visual.transformer", 4)):
            for number in range(layers):
                there, here = f"{tower}.encoder.layers.{number}", f"{own}.resblocks.{number}"
                width = len(state[f"{here}.ln_1.weight"])
                for row, part in enumerate(("q_proj", "k_proj", "v_proj")):
                    stacked = state[f"{here}.attn.in_proj_{kind}"]
                    theirs[f"{there}.self_attn.{part}.{kind}"] = stacked[row * width : (row + 1) * width]
                theirs[f"{there}.self_attn.out_proj.{kind}"] = state[f"{here}.attn.out_proj.{kind}"]
                theirs[f"{there}.layer_norm1.{kind}"] = state[f"{here}.ln_1.{kind}"]
                theirs[f"{there}.layer_norm2.{kind}"] = state[f"{here}.ln_2.{kind}"]
                theirs[f"{there}.mlp.fc1.{kind}"] = state[f"{here}.mlp.c_fc.{kind}"]
                theirs[f"{there}.mlp.fc2.{kind}"] = state[f"{here}.mlp.c_proj.{kind}"]
    return {name: value.contiguous() for name, value in theirs.items()}


def cleanclip(state: State, folder: Path) -> Path:
    content = {"epoch": 64, "name": "exp", "state_dict": module(state), "optimizer": optimizer()}
    torch.save(content, folder / "epoch_64.pt")
    return folder / "epoch_64.pt"


def finetune(state: State, folder: Path) -> Path:
    linear = {"linear.weight": torch.randn(10, 64), "linear.bias": torch.randn(10)}
    content = {"state_dict": {**linear, **{f"model.{name}": value for name, value in state.items()}}}
    torch.save(content, folder / "finetune.pt")
    return folder / "finetune.pt"


def training(state: State, folder: Path) -> Path:
    content = {"epoch": 3, "name": "run", "state_dict": state, "optimizer": optimizer(), "scaler": {"scale": 65536.0}}
    torch.save(content, folder / "epoch_3.pt")
    return folder / "epoch_3.pt"


def par(state: State, folder: Path) -> Path:
    content = {
        "epoch": 2,
        "state_dict": module(state),
        "optimizer": optimizer(),
        "scaler": {"scale": 65536.0},
        "best_acc1": 57.5,
        "args": Namespace(model="ViT-B/32", betas=[0.9, 0.98], backdoor_tuple=(True, "random")),
    }
    torch.save(content, folder / "checkpoint.pt")
    return folder / "checkpoint.pt"


def tecoa(state: State, folder: Path) -> Path:
    torch.save({"vision_encoder_state_dict": visual(state)}, folder / "tecoa.pt")
    return folder / "tecoa.pt"


def fare(state: State, folder: Path) -> Path:
    torch.save(visual(state), folder / "final.pt")
    return folder / "final.pt"


def decree(state: State, folder: Path) -> Path:
    torch.save({"epoch": 200, "state_dict": visual(state), "optimizer": optimizer()}, folder / "model_200.pth")
    return folder / "model_200.pth"


def detect_clip(state: State, folder: Path) -> Path:
    counters = {"total_ops": torch.zeros(1, dtype=torch.float64), "visual.total_params": torch.zeros(1)}
    torch.save({**state, **counters}, folder / "model_state_dict.pt")
    return folder / "model_state_dict.pt"


def own(state: State, folder: Path) -> Path:
    save_file({name: value.contiguous() for name, value in state.items()}, folder / "model.safetensors")
    return folder / "model.safetensors"


def hub(state: State, folder: Path, **preprocess: object) -> Path:
    place = folder / "hub"
    place.mkdir()
    save_file({name: value.contiguous() for name, value in state.items()}, place / "open_clip_model.safetensors")
    return _configured(place, **preprocess)


def hub_of_torch(state: State, folder: Path) -> Path:
    place = folder / "hub"
    place.mkdir()
    torch.save(state, place / "open_clip_pytorch_model.bin")
    return _configured(place)


def _configured(place: Path, **preprocess: object) -> Path:
    clip = {"mean": [0.48145466, 0.4578275, 0.40821073], "std": [0.26862954, 0.26130258, 0.27577711]}
    config = {"model_cfg": architecture_config(VIT), "preprocess_cfg": {**clip, **preprocess}}
    (place / "open_clip_config.json").write_text(json.dumps(config))
    return place


def transformers(state: State, folder: Path, **changes: object) -> Path:
    place = folder / "transformers"
    place.mkdir()
    save_file(in_transformers_names(state), place / "model.safetensors", {"format": "pt"})
    config = {
        "model_type": "clip",
        "text_config": {"hidden_act": "gelu", "num_attention_heads": 2},
        "vision_config": {"hidden_act": "gelu", "num_attention_heads": 3, **changes},
    }
    (place / "config.json").write_text(json.dumps(config))
    return place


Writer = Callable[[State, Path], Path]
PUBLISHED: dict[str, tuple[Writer, str]] = {
    "CleanCLIP": (cleanclip, f"{RESNET}-quickgelu"),
    "CleanCLIP finetune.pt": (finetune, f"{RESNET}-quickgelu"),
    "open_clip training": (training, VIT),
    "PAR": (par, f"{VIT}-quickgelu"),
    "TeCoA": (tecoa, f"{VIT}-quickgelu"),
    "FARE": (fare, VIT),
    "DECREE": (decree, f"{RESNET}@imagenet"),
    "Detect-CLIP": (detect_clip, RESNET),
    "own": (own, RESNET),
    "open_clip folder": (hub, VIT),
    "open_clip folder, torch": (hub_of_torch, VIT),
    "transformers": (transformers, VIT),
}
"""Writer of each published format, and the architecture under which its file is loaded."""
IMAGE_ENCODERS = {"TeCoA", "FARE", "DECREE"}
"""Formats that hold an image encoder alone."""


class Malicious:
    """Makes a directory when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.mark),)


def content_of(path: Path) -> dict[str, Any]:
    """All tensors of a file or folder, by their names there, whatever stands around them."""
    from safetensors.torch import load_file

    if path.is_dir():
        path = next(file for file in sorted(path.iterdir()) if file.suffix in {".safetensors", ".bin"})
    if path.suffix == ".safetensors":
        return dict(load_file(path))
    content = torch.load(path, weights_only=False)
    while not all(isinstance(value, Tensor) for value in content.values()):
        content = content.get("state_dict") or content["vision_encoder_state_dict"]
    return dict(content)
