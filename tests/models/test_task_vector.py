from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from safetensors.torch import save_file
from torch import Tensor

from tbar_ray.errors import CheckpointError
from tbar_ray.models.task_vector import TaskVector
from tests.models.tiny import RESNET, VIT, close, same, snapshot, tiny

SHAPES = {"visual.w": (3, 4), "visual.b": (5,), "scale": ()}
FEW = settings(max_examples=30)
VALUES = st.floats(-1e3, 1e3, width=32)


@st.composite
def states(draw: st.DrawFn) -> dict[str, Tensor]:
    state = {
        key: torch.from_numpy(np.array(draw(arrays.arrays(np.float32, shape, elements=VALUES))))
        for key, shape in SHAPES.items()
    }
    state["count"] = torch.tensor(draw(st.integers(0, 100)))
    return state


@st.composite
def vectors(draw: st.DrawFn) -> TaskVector:
    return TaskVector.between(draw(states()), draw(states()))


@FEW
@given(vectors())
def test_negation_undoes_itself(vector: TaskVector) -> None:
    negated = -vector
    assert same((-negated).tensors, vector.tensors)
    close((vector + negated).tensors, (0.0 * vector).tensors, 0)


@FEW
@given(vectors(), vectors())
def test_addition_commutes_and_subtraction_is_its_inverse(left: TaskVector, right: TaskVector) -> None:
    assert same((left + right).tensors, (right + left).tensors)
    assert (left + right).integer_buffers == (right + left).integer_buffers == ("count",)
    close((left + right - right).tensors, left.tensors)


@FEW
@given(vectors(), vectors(), vectors())
def test_addition_is_associative(first: TaskVector, second: TaskVector, third: TaskVector) -> None:
    close(((first + second) + third).tensors, (first + (second + third)).tensors)


@FEW
@given(vectors(), vectors(), st.floats(-3, 3), st.floats(-3, 3))
def test_scaling_distributes(left: TaskVector, right: TaskVector, a: float, b: float) -> None:
    close((a * (left + right)).tensors, (a * left + a * right).tensors)
    close(((a + b) * left).tensors, (a * left + b * left).tensors)
    close((a * (b * left)).tensors, ((a * b) * left).tensors)
    assert same((a * left).tensors, (left * a).tensors)
    assert same((-1.0 * left).tensors, (-left).tensors)


@FEW
@given(states(), states())
def test_start_plus_the_difference_is_the_end_with_the_starts_counters(
    start: dict[str, Tensor], end: dict[str, Tensor]
) -> None:
    vector = TaskVector.between(start, end)
    moved = start + vector
    assert isinstance(moved, dict)
    close({**moved, "count": end["count"]}, end, 1e3)
    assert torch.equal(moved["count"], start["count"])
    close({**(end + -vector), "count": start["count"]}, start, 1e3)
    assert vector.integer_buffers == ("count",)
    assert "count" not in vector.tensors


@FEW
@given(vectors(), vectors(), st.floats(-4, 4))
def test_norm_and_cosine_are_those_of_the_flat_vectors(left: TaskVector, right: TaskVector, a: float) -> None:
    flat = [
        np.concatenate([v.tensors[key].numpy().astype(np.float64).ravel() for key in SHAPES]) for v in (left, right)
    ]
    norms = [float(np.linalg.norm(vector)) for vector in flat]
    assert left.norm() == pytest.approx(norms[0], rel=1e-9)
    assert (a * left).norm() == pytest.approx(abs(a) * norms[0], rel=1e-5, abs=1e-9)
    expected = float(flat[0] @ flat[1]) / (norms[0] * norms[1]) if norms[0] * norms[1] else 0.0
    assert left.cosine(right) == pytest.approx(expected, rel=1e-6, abs=1e-9)
    assert -1 - 1e-9 <= left.cosine(right) <= 1 + 1e-9


def test_the_documented_expression() -> None:
    theta = {"w": torch.tensor([1.0, 2.0]), "n": torch.tensor(4)}
    tau = TaskVector.between(theta, {"w": torch.tensor([3.0, 1.0]), "n": torch.tensor(9)})
    unlearned = theta + 1.5 * -tau
    assert unlearned["w"].tolist() == [-2.0, 3.5]
    assert int(unlearned["n"]) == 4


def test_inputs_and_results_share_no_memory() -> None:
    start, end = {"w": torch.zeros(2), "n": torch.tensor(1)}, {"w": torch.ones(2), "n": torch.tensor(2)}
    vector = TaskVector.between(start, end)
    moved = start + vector
    for tensor in (*start.values(), *end.values(), *moved.values()):
        tensor.fill_(9)
    assert vector.tensors["w"].tolist() == [1, 1]
    start["w"].fill_(0)
    assert (start + vector)["w"].tolist() == [1, 1]


def test_what_did_not_move_takes_no_memory_and_is_seen_at_once() -> None:
    start = {"text": torch.randn(500, 30), "image": torch.randn(4), "empty": torch.zeros(0, 3)}
    vector = TaskVector.between(start, {**start, "image": start["image"] + 1})
    assert vector.tensors["text"].untyped_storage().nbytes() == 4
    assert vector.tensors["text"].shape == (500, 30)
    assert vector.moved == {"image"}
    rows = torch.tensor([0.0, 0.0, 2.0]).expand(4, 3)
    none = (0 * rows[0]).expand(4, 3)
    assert TaskVector({"rows": rows, "columns": rows.T, "none": none}).moved == {"rows", "columns"}


def ops() -> list[tuple[str, Callable[[dict[str, Tensor], dict[str, Tensor]], object]]]:
    return [
        ("task vector", TaskVector.between),
        ("sum of task vectors", lambda a, b: TaskVector(a) + TaskVector(b)),
        ("sum of task vectors", lambda a, b: TaskVector(a) - TaskVector(b)),
        ("cosine of task vectors", lambda a, b: TaskVector(a).cosine(TaskVector(b))),
        (r"model \+ task vector", lambda a, b: a + TaskVector(b)),
    ]


@pytest.mark.parametrize(("what", "operation"), ops())
@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"w": torch.zeros(2)}, "keys differ in 1 tensors, e.g. b"),
        ({"w": torch.zeros(2), "b": torch.zeros(1), "c": torch.zeros(1)}, "keys differ in 1 tensors, e.g. c"),
        ({"w": torch.zeros(3), "b": torch.zeros(1)}, r"w has shape \(2,\) and \(3,\)"),
        ({"w": torch.zeros(1), "b": torch.zeros(1)}, "w has shape"),  # would broadcast
        ({"w": torch.zeros(2).double(), "b": torch.zeros(1)}, "w has dtype torch.float32 and torch.float64"),
    ],
)
def test_only_alike_models_combine(
    what: str,
    operation: Callable[[dict[str, Tensor], dict[str, Tensor]], object],
    other: dict[str, Tensor],
    message: str,
) -> None:
    own = {"w": torch.zeros(2), "b": torch.zeros(1)}
    with pytest.raises(CheckpointError, match=f"^{what}: {message}"):
        operation(own, other)


def test_a_counter_is_no_part_of_a_vector_and_other_types_do_not_add() -> None:
    with pytest.raises(CheckpointError, match="n is an integer buffer"):
        TaskVector({"w": torch.zeros(1), "n": torch.tensor(1)})
    with pytest.raises(TypeError):
        TaskVector({"w": torch.zeros(1)}) + 1  # type: ignore[operator]
    with pytest.raises(TypeError):
        1 + TaskVector({"w": torch.zeros(1)})  # type: ignore[operator]


def test_two_architectures_have_no_difference() -> None:
    with pytest.raises(CheckpointError, match="task vector: keys differ in"):
        TaskVector.between(tiny(VIT).state_dict(), tiny(RESNET).state_dict())


def test_saved_vectors_are_read_back(tmp_path: Path) -> None:
    vector = TaskVector.between(tiny(RESNET).state_dict(), tiny(RESNET, seed=1).state_dict())
    assert vector.integer_buffers
    vector.save(tmp_path / "v.safetensors")
    loaded = TaskVector.load(tmp_path / "v.safetensors", vector.integer_buffers)
    assert same(loaded.tensors, vector.tensors)
    assert loaded.integer_buffers == vector.integer_buffers
    theta = snapshot(tiny(RESNET))
    assert same(theta + loaded, theta + vector)


def test_a_file_holds_only_what_moved(tmp_path: Path) -> None:
    start = {"text": torch.randn(500, 30), "image": torch.randn(4), "half": torch.randn(2, 3).half()}
    vector = TaskVector.between(start, {**start, "image": start["image"] + 1})
    vector.save(tmp_path / "v.safetensors")
    assert (tmp_path / "v.safetensors").stat().st_size < 1_000
    loaded = TaskVector.load(tmp_path / "v.safetensors")
    assert same(loaded.tensors, vector.tensors)
    assert {key: value.dtype for key, value in loaded.tensors.items()} == {k: v.dtype for k, v in start.items()}
    assert loaded.moved == vector.moved == {"image"}
    assert same(start + 2 * loaded, start + 2 * vector)
    loaded.save(tmp_path / "again.safetensors")
    assert (tmp_path / "again.safetensors").read_bytes() == (tmp_path / "v.safetensors").read_bytes()


def test_a_vector_that_moved_nothing_is_read_back(tmp_path: Path) -> None:
    start = {"a": torch.randn(3), "b": torch.randn(2, 2)}
    TaskVector.between(start, start).save(tmp_path / "v.safetensors")
    loaded = TaskVector.load(tmp_path / "v.safetensors")
    assert same(loaded.tensors, {"a": torch.zeros(3), "b": torch.zeros(2, 2)})


def test_differences_of_another_program_are_read(tmp_path: Path) -> None:
    save_file({"w": torch.ones(2), "still": torch.zeros(3)}, tmp_path / "v.safetensors")
    loaded = TaskVector.load(tmp_path / "v.safetensors")
    assert same(loaded.tensors, {"w": torch.ones(2), "still": torch.zeros(3)})


@pytest.mark.parametrize("unmoved", ["{", '{"w": 3}', '{"w": ["load", [2]]}', '{"w": ["float32", [-2]]}'])
def test_metadata_that_tell_nothing_are_refused(unmoved: str, tmp_path: Path) -> None:
    save_file({"v": torch.ones(2)}, tmp_path / "v.safetensors", {"unmoved": unmoved})
    with pytest.raises(CheckpointError, match="metadata do not tell dtype and shape"):
        TaskVector.load(tmp_path / "v.safetensors")


def test_only_tensors_that_moved_are_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """A frozen text tower is most of a small model, and its difference is zero."""
    start = {"text": torch.randn(5, 3), "image": torch.randn(4), "scale": torch.tensor(1.0)}
    vector = TaskVector.between(start, {**start, "image": start["image"] + 1, "scale": torch.tensor(float("nan"))})
    measured: list[int] = []
    norm = torch.linalg.vector_norm

    def counted(value: Tensor, *, dtype: torch.dtype) -> Tensor:
        measured.append(value.numel())
        return norm(value, dtype=dtype)

    monkeypatch.setattr(torch.linalg, "vector_norm", counted)
    assert vector.moved == {"image", "scale"}
    assert np.isnan(vector.norm())
    assert sorted(measured) == [1, 4]
    assert TaskVector.between(start, start).norm() == 0


def test_a_vector_read_from_a_file_is_laid_out_like_the_model(tmp_path: Path) -> None:
    state = {
        "z.weight": torch.randn(4, 3, 2, 2).contiguous(memory_format=torch.channels_last),
        "a.weight": torch.randn(3),
        "count": torch.tensor(1),
    }
    moved = {**state, "z.weight": state["z.weight"] + 1}
    vector = TaskVector.between(state, moved)
    vector.save(tmp_path / "vector.safetensors")
    found = TaskVector.load(tmp_path / "vector.safetensors", vector.integer_buffers).like(state)
    assert list(found.tensors) == ["z.weight", "a.weight"]
    assert found.tensors["z.weight"].is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(found.tensors["z.weight"], vector.tensors["z.weight"])
    assert found.integer_buffers == ("count",)
    with pytest.raises(CheckpointError, match="keys differ"):
        vector.like({"a.weight": state["a.weight"]})
