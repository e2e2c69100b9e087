from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from tbar_ray.errors import CheckpointError
from tbar_ray.models.checkpoint import load_checkpoint, load_state_dict, save_state_dict
from tbar_ray.models.factory import create_model
from tbar_ray.models.file_arithmetic import Addition, merge, negate
from tbar_ray.models.formats import streamed
from tbar_ray.models.in_place import InPlaceModel
from tbar_ray.models.merging import is_statistic, task_arithmetic
from tbar_ray.models.task_vector import TaskVector
from tests.models.formats.published import PUBLISHED, State, content_of, direct, own
from tests.models.tiny import RESNET, VIT, changed, same, snapshot


def moved(state: State, seed: int, scale: float = 0.01) -> State:
    """A fine-tuned model: all weights moved but those of the last text block, variances upwards."""
    draw = torch.Generator().manual_seed(seed)

    def of(name: str, value: torch.Tensor) -> torch.Tensor:
        if not value.is_floating_point() or name.startswith("transformer.resblocks.1."):
            return value.clone()
        noise = torch.randn(value.shape, generator=draw)
        return value + scale * (noise.abs() if name.endswith("running_var") else noise)

    return {name: of(name, value) for name, value in state.items()}


Saved = Callable[..., list[Path]]


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Saved:
    """Gives the files of a model and of two that were fine-tuned from it, each architecture's written once."""

    @cache
    def written(architecture: str = RESNET) -> list[Path]:
        folder = tmp_path_factory.mktemp(architecture)
        states = [snapshot(direct(architecture))]
        states += [moved(states[0], seed) for seed in (1, 2)]
        paths = [folder / f"{number}.safetensors" for number in range(3)]
        for state, path in zip(states, paths, strict=True):
            save_state_dict(state, path)
        return paths

    return written


@pytest.mark.parametrize("piece", [1 << 22, 4096])
def test_negation_is_the_path_of_alpha(
    piece: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, saved: Saved
) -> None:
    monkeypatch.setattr(streamed, "PIECE", piece)
    infected, triggered, _ = saved()
    names = negate(infected, triggered, tmp_path / "out.safetensors", alpha=1.5)
    base, other, result = (load_state_dict(path) for path in (infected, triggered, tmp_path / "out.safetensors"))
    expected = {k: torch.add(v, other[k] - v, alpha=-1.5) if v.is_floating_point() else v for k, v in base.items()}
    assert same(expected, result)
    assert set(names) == changed(base, result)
    assert "transformer.resblocks.1.ln_1.weight" not in names  # alike in both
    assert not list(tmp_path.glob(".*.part"))


def test_negation_has_the_bits_of_a_model_that_is_moved_along_its_vector(tmp_path: Path, saved: Saved) -> None:
    infected, triggered, _ = saved(VIT)
    negate(infected, triggered, tmp_path / "out.safetensors", alpha=1.7)
    model = create_model(VIT, pretrained=str(infected))
    vector = TaskVector.between(model.state_dict(), load_state_dict(triggered))
    with InPlaceModel(model, vector).moved(-1.7) as edited:
        assert same(snapshot(edited), load_state_dict(tmp_path / "out.safetensors"))


def test_no_strength_is_the_infected_model(tmp_path: Path, saved: Saved) -> None:
    infected, triggered, _ = saved()
    assert negate(infected, triggered, tmp_path / "out.safetensors", alpha=0) == []
    assert same(load_state_dict(infected), load_state_dict(tmp_path / "out.safetensors"))


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_result_is_in_the_format_of_the_infected_model(name: str, tmp_path: Path) -> None:
    writer, architecture = PUBLISHED[name]
    state = snapshot(direct(architecture))
    triggered = moved(state, 1)
    infected = writer(state, tmp_path)
    (tmp_path / "other").mkdir()
    other = writer(triggered, tmp_path / "other")
    out = tmp_path / f"out{infected.suffix}"
    negate(infected, other, out, alpha=2.0)
    base, after = load_checkpoint(infected)[0], load_checkpoint(out)
    assert after[1] == load_checkpoint(infected)[1]
    assert content_of(out).keys() == content_of(infected).keys()
    assert same(
        {k: torch.add(v, triggered[k] - v, alpha=-2) if v.is_floating_point() else v for k, v in base.items()}, after[0]
    )


def test_formats_may_differ(tmp_path: Path) -> None:
    state = snapshot(direct(VIT))
    other = moved(state, 1)
    infected, triggered = PUBLISHED["transformers"][0](state, tmp_path), own(other, tmp_path)
    negate(infected, triggered, tmp_path / "out", alpha=1)
    assert same({k: torch.add(v, other[k] - v, alpha=-1) for k, v in state.items()}, load_state_dict(tmp_path / "out"))


def test_statistics_can_be_kept_and_a_negative_variance_is_refused(tmp_path: Path, saved: Saved) -> None:
    infected, triggered, _ = saved()
    out = tmp_path / "out.safetensors"
    with pytest.raises(CheckpointError, match=r"running_var would become negative.*--statistics kept"):
        negate(infected, triggered, out, alpha=500)
    assert not out.exists()
    assert not list(tmp_path.glob(".*.part"))
    names = negate(infected, triggered, out, alpha=500, statistics="kept")
    assert not any(is_statistic(name) for name in names)


def test_a_merge_of_equal_weights_is_task_arithmetic(tmp_path: Path, saved: Saved) -> None:
    base, one, two = saved()
    merge(base, [Addition(one, 0.7), Addition(two, 0.7)], tmp_path / "out.safetensors")
    start = load_state_dict(base)
    vectors = [TaskVector.between(start, load_state_dict(path)) for path in (one, two)]
    expected = start + task_arithmetic(vectors, 0.7)
    result = load_state_dict(tmp_path / "out.safetensors")
    assert result.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(result[name], value, rtol=1e-6, atol=1e-6)


def test_a_vector_of_a_campaign_is_added_as_it_is(tmp_path: Path, saved: Saved) -> None:
    base, one, _ = saved(VIT)
    start = load_state_dict(base)
    vector = TaskVector.between(start, load_state_dict(one))
    vector.save(tmp_path / "vector.safetensors")
    names = merge(base, [Addition(tmp_path / "vector.safetensors", -1.5)], tmp_path / "out.safetensors")
    expected = {k: torch.add(v, vector.tensors[k], alpha=-1.5) if k in vector.moved else v for k, v in start.items()}
    assert same(expected, load_state_dict(tmp_path / "out.safetensors"))
    assert set(names) == vector.moved
    with safe_open(tmp_path / "vector.safetensors", "pt") as file:
        unmoved = json.loads(file.metadata()["unmoved"])
    assert unmoved  # some tensors are not in the file
    del vector.tensors["logit_scale"]
    vector.save(tmp_path / "vector.safetensors")
    with pytest.raises(CheckpointError, match=r"the vector .*: keys differ in 1 tensors, e\.g\. logit_scale"):
        merge(base, [Addition(tmp_path / "vector.safetensors", 1)], tmp_path / "out.safetensors")


def test_half_precision_is_computed_in_float32_and_rounded_once(tmp_path: Path) -> None:
    state = {"a": torch.randn(1000).bfloat16(), "b": torch.randn(3).bfloat16()}
    other = {"a": (state["a"] + 0.01 * torch.randn(1000)).bfloat16(), "b": state["b"].clone()}
    save_state_dict(state, tmp_path / "base.safetensors")
    save_state_dict(other, tmp_path / "other.safetensors")
    negate(tmp_path / "base.safetensors", tmp_path / "other.safetensors", tmp_path / "out.safetensors", alpha=0.3)
    result = load_state_dict(tmp_path / "out.safetensors")
    a, b = state["a"].float(), (other["a"] - state["a"]).float()
    assert torch.equal(result["a"], torch.add(a, b, alpha=-0.3).bfloat16())
    assert torch.equal(result["b"], state["b"])


@pytest.mark.parametrize("name", ["CleanCLIP", "own"])
def test_the_result_may_take_the_place_of_its_source(name: str, tmp_path: Path) -> None:
    """Tensors are mapped to the file while it is written."""
    writer, architecture = PUBLISHED[name]
    state = snapshot(direct(architecture))
    other = moved(state, 1)
    path = writer(state, tmp_path)
    (tmp_path / "other").mkdir()
    negate(path, writer(other, tmp_path / "other"), path, alpha=1)
    expected = {k: torch.add(v, other[k] - v, alpha=-1) if v.is_floating_point() else v for k, v in state.items()}
    assert same(expected, load_state_dict(path))


def test_what_does_not_fit_is_one_line(tmp_path: Path, saved: Saved) -> None:
    infected, triggered, _ = saved()
    other = saved(VIT)[0]
    with pytest.raises(CheckpointError, match=f"^{infected} and {other}: keys differ in") as caught:
        negate(infected, other, tmp_path / "out.safetensors", alpha=1)
    assert "\n" not in str(caught.value)
    with pytest.raises(CheckpointError, match=r"cannot write .*no/out"):
        negate(infected, triggered, tmp_path / "no" / "out.safetensors", alpha=1)
