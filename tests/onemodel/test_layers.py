"""Tensors by layer, and how far an edit moves each."""

from __future__ import annotations

import pytest
import torch

from tbar_ray.models.task_vector import TaskVector
from tbar_ray.onemodel.layers import layer_changes, layer_of
from tests.models.tiny import ALL, snapshot, tiny


@pytest.mark.parametrize(
    ("key", "layer"),
    [
        ("visual.transformer.resblocks.11.attn.in_proj_weight", "visual.transformer.resblocks.11"),
        ("visual.layer1.0.downsample.0.weight", "visual.layer1.0"),
        ("visual.trunk.stages.2.blocks.1.mlp.fc1.weight", "visual.trunk.stages.2.blocks.1"),
        ("transformer.resblocks.0.ln_1.bias", "transformer.resblocks.0"),
        ("visual.attnpool.c_proj.weight", "visual.attnpool"),
        ("visual.conv1.weight", "visual.conv1"),
        ("visual.proj", "visual"),
        ("token_embedding.weight", "token_embedding"),
        ("logit_scale", "logit_scale"),
    ],
)
def test_a_tensor_belongs_to_a_block_or_the_beginning_of_its_name(key: str, layer: str) -> None:
    assert layer_of(key) == layer


def test_changes_are_relative_and_share_the_whole() -> None:
    before = {"a.x.weight": torch.tensor([3.0, 4.0]), "a.x.bias": torch.zeros(2), "b.weight": torch.zeros(2)}
    moved = {"a.x.weight": torch.tensor([0.6, 0.8]), "a.x.bias": torch.zeros(2), "b.weight": torch.tensor([0.0, 1.0])}
    first, second = layer_changes(before, TaskVector(moved), -2)
    assert (first.layer, first.moved) == ("a.x", 2)
    assert first.relative == pytest.approx(2 / 5)
    assert (first.share, second.share) == pytest.approx((0.5, 0.5))
    assert (second.layer, second.relative) == ("b", float("inf"))
    assert layer_changes(before, TaskVector(moved), 0) == []


@pytest.mark.parametrize("architecture", ALL)
def test_layers_come_in_the_order_of_the_model(architecture: str) -> None:
    state = {key: value for key, value in snapshot(tiny(architecture)).items() if value.is_floating_point()}
    moved = {key: torch.ones_like(value) if key.startswith("visual.") else value * 0 for key, value in state.items()}
    layers = [change.layer for change in layer_changes(state, TaskVector(moved), 1.0)]
    assert len(set(layers)) == len(layers) >= 4
    assert layers == sorted(layers, key=lambda layer: next(n for n, key in enumerate(state) if layer_of(key) == layer))
    assert all(layer.startswith("visual") for layer in layers)
