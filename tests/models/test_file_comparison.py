from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tbar_ray.errors import CheckpointError
from tbar_ray.models.checkpoint import save_state_dict
from tbar_ray.models.file_comparison import WHOLE, PartComparison, compare, part_of
from tbar_ray.models.merging import is_statistic
from tbar_ray.models.task_vector import TaskVector
from tests.models.formats.published import State, direct
from tests.models.tiny import RESNET, VIT, snapshot


def plus(state: State, by: dict[str, float]) -> State:
    """A model with a constant added to all weights whose name begins so; statistics and buffers stay."""
    found = {name: value.clone() for name, value in state.items()}
    for name, value in found.items():
        if value.is_floating_point() and not is_statistic(name):
            value += sum(amount for start, amount in by.items() if name.startswith(start))
    return found


def files(folder: Path, **states: State) -> list[Path]:
    paths = [folder / f"{name}.safetensors" for name in states]
    for state, path in zip(states.values(), paths, strict=True):
        save_state_dict(state, path)
    return paths


def by_part(parts: list[PartComparison]) -> dict[str, PartComparison]:
    return {part.part: part for part in parts}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("visual.trunk.layer1.0.conv2.weight", "visual.trunk.layer1"),
        ("visual.conv1.weight", "visual.conv1"),
        ("visual.transformer.resblocks.3.attn.in_proj_weight", "visual.transformer.resblocks.3"),
        ("visual.attnpool.q_proj.weight", "visual.attnpool.q_proj"),
        ("visual.class_embedding", "visual"),
        ("logit_scale", "logit_scale"),
    ],
)
def test_a_part_is_a_module(name: str, expected: str) -> None:
    assert part_of(name) == expected


@pytest.mark.parametrize("architecture", [RESNET, VIT])
def test_a_change_taken_back_twice_is_told_in_every_part(architecture: str, tmp_path: Path) -> None:
    start = snapshot(direct(architecture))
    base, there, back = files(
        tmp_path, base=start, there=plus(start, {"visual.": 0.01}), back=plus(start, {"visual.": -0.02})
    )
    parts = compare(base, back, there)
    assert parts[-1].part == WHOLE
    assert len(parts) > 6
    for part in parts:
        if part.part.startswith("visual") or part.part == WHOLE:
            assert part.cosine == pytest.approx(-1)
            assert part.share == pytest.approx(-2, abs=1e-3)
            assert part.first is not None
            assert part.second is not None
            assert part.first == pytest.approx(2 * part.second, rel=1e-3)
        elif part.part.startswith("transformer"):
            assert (part.first, part.second, part.cosine, part.share) == (0, 0, None, None)
    weights = [v for name, v in start.items() if v.is_floating_point() and not is_statistic(name)]
    length = torch.cat([v.flatten().double() for v in weights]).norm()
    moved = sum(
        v.numel()
        for name, v in start.items()
        if name.startswith("visual.") and v.is_floating_point() and not is_statistic(name)
    )
    assert parts[-1].parameters == sum(v.numel() for v in weights)
    assert parts[-1].second == pytest.approx(float(0.01 * moved**0.5 / length), rel=1e-3)


def test_changes_of_different_parts_have_nothing_in_common(tmp_path: Path) -> None:
    start = snapshot(direct(VIT))
    base, one, other = files(
        tmp_path, base=start, one=plus(start, {"visual.ln_post.": 1}), other=plus(start, {"visual.ln_pre.": 1})
    )
    found = by_part(compare(base, one, other))
    assert (found[WHOLE].cosine, found[WHOLE].share) == (0, 0)
    assert found["visual.ln_post"].second == 0
    assert found["visual.ln_pre"].first == 0


def test_a_vector_and_another_start_may_be_given(tmp_path: Path) -> None:
    start = snapshot(direct(VIT))
    elsewhere = plus(start, {"": 0.5})
    base, other, end = files(tmp_path, base=start, other=elsewhere, end=plus(elsewhere, {"visual.ln_post.": 0.25}))
    vector = TaskVector.between(start, plus(start, {"visual.ln_post.": 0.5}))
    vector.save(tmp_path / "vector.safetensors")
    found = by_part(compare(base, tmp_path / "vector.safetensors", end, other))
    assert found[WHOLE].cosine == pytest.approx(1)
    assert found[WHOLE].share == pytest.approx(2, rel=1e-4)
    assert found["visual.ln_pre"].first == found["visual.ln_pre"].second == 0


def test_another_architecture_is_refused(tmp_path: Path) -> None:
    vit, resnet = files(tmp_path, vit=snapshot(direct(VIT)), resnet=snapshot(direct(RESNET)))
    for words in ((vit, resnet, vit), (vit, vit, resnet), (vit, vit, vit, resnet)):
        with pytest.raises(CheckpointError, match=r"resnet\.safetensors: keys differ"):
            compare(*words)
