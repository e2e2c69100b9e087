from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from torch import Tensor, nn

from tbar_ray.errors import CheckpointError
from tbar_ray.models.task_vector import ResidentModel, ResidentPair, TaskVector
from tests.models.tiny import BOTH, RESNET, VIT, changed, same, snapshot, tiny

SHAPES = {"visual.w": (3, 4), "visual.b": (5,), "scale": ()}
FEW = settings(max_examples=30, deadline=None)
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


def close(left: dict[str, Tensor], right: dict[str, Tensor], scale: float = 1e4) -> None:
    assert left.keys() == right.keys()
    for key, value in left.items():
        torch.testing.assert_close(value, right[key], rtol=1e-5, atol=scale * 1e-6)


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


def small() -> nn.Module:
    """Return a module with weights, float statistics and a counter."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4))


def direction(model: nn.Module, seed: int = 1) -> TaskVector:
    generator = torch.Generator().manual_seed(seed)
    start = snapshot(model)
    end = {k: v + torch.randn(v.shape, generator=generator) if v.is_floating_point() else v for k, v in start.items()}
    return TaskVector.between(start, end)


@FEW
@given(st.lists(st.floats(-50, 50), min_size=1, max_size=20))
def test_a_resident_model_is_put_back_bit_for_bit_after_any_path(path: list[float]) -> None:
    model = small()
    vector, before = direction(model), snapshot(model)
    resident = ResidentModel(model, vector)
    for alpha in path:
        with resident.moved(-alpha) as moved:
            assert moved is model
            close(snapshot(model), before + -alpha * vector, 100)
        assert same(snapshot(model), before)


def test_each_move_starts_from_the_base_so_that_rounding_does_not_add_up() -> None:
    model = small()
    resident = ResidentModel(model, direction(model))
    with resident.moved(0.1):
        first = snapshot(model)
    for step in range(1, 200):
        with resident.moved(step * 0.37):
            pass
    with resident.moved(0.1):
        assert same(snapshot(model), first)


def test_an_exception_inside_puts_the_model_back_too() -> None:
    model = small()
    before = snapshot(model)
    resident = ResidentModel(model, direction(model))

    def fail() -> None:
        with resident.moved(2.0):
            assert not same(snapshot(model), before)
            raise KeyError("boom")

    with pytest.raises(KeyError, match="boom"):
        fail()
    assert same(snapshot(model), before)


def test_at_coefficient_zero_nothing_moves() -> None:
    model = small()
    before = snapshot(model)
    with ResidentModel(model, direction(model)).moved(0.0):
        assert same(snapshot(model), before)


@pytest.mark.parametrize("architecture", BOTH)
def test_a_resident_clip_model_equals_theta_plus_the_vector(architecture: str) -> None:
    model = tiny(architecture)
    before = snapshot(model)
    vector = 0.1 * TaskVector.between(before, tiny(architecture, seed=1).state_dict())
    with ResidentModel(model, vector).moved(-1.5):
        inside = snapshot(model)
    close(inside, before + -1.5 * vector, 1)
    assert changed(inside, before)
    assert same(snapshot(model), before)


def test_only_a_vector_of_the_image_tower_leaves_the_text_tower() -> None:
    model = tiny()
    zero = 0.0 * TaskVector.between(model.state_dict(), tiny(seed=1).state_dict())
    image_only = TaskVector({**zero.tensors, "visual.proj": torch.ones_like(zero.tensors["visual.proj"])})
    scale = TaskVector({**zero.tensors, "logit_scale": torch.tensor(0.5)})
    assert not ResidentModel(model, image_only).moves_text
    assert ResidentModel(model, scale).moves_text
    before = snapshot(model)
    with ResidentModel(model, image_only).moved(1.0):
        assert changed(snapshot(model), before) == {"visual.proj"}
    with ResidentModel(model, zero).moved(1.0):
        assert same(snapshot(model), before)


def test_a_vector_of_another_model_is_refused() -> None:
    with pytest.raises(CheckpointError, match="model and task vector: keys differ"):
        ResidentModel(small(), TaskVector({"w": torch.zeros(1)}))


def pair_of(model: nn.Module) -> tuple[TaskVector, TaskVector, ResidentPair]:
    first, second = direction(model, 1), direction(model, 2)
    return first, second, ResidentPair(model, first, second)


@FEW
@given(st.lists(st.tuples(st.floats(-50, 50), st.floats(-50, 50)), min_size=1, max_size=20))
def test_a_resident_pair_is_put_back_bit_for_bit_after_any_path(path: list[tuple[float, float]]) -> None:
    model = small()
    before = snapshot(model)
    first, second, pair = pair_of(model)
    for a, b in path:
        with pair.moved(a, b) as moved:
            assert moved is model
            close(snapshot(model), before + (a * first + b * second), 100)
        assert same(snapshot(model), before)


def test_each_move_of_a_pair_starts_from_the_base() -> None:
    model = small()
    _, _, pair = pair_of(model)
    with pair.moved(0.1, -0.3):
        alone = snapshot(model)
    for step in range(1, 200):
        with pair.moved(step * 0.37, -step * 0.11):
            pass
    with pair.moved(0.1, -0.3):
        assert same(snapshot(model), alone)


@FEW
@given(st.floats(-5, 5), st.floats(-5, 5))
def test_a_pair_with_one_coefficient_zero_is_the_other_vector_alone(a: float, b: float) -> None:
    model = small()
    first, second, pair = pair_of(model)
    for vector, alpha, both in ((first, a, (a, 0.0)), (second, b, (0.0, b))):
        with ResidentModel(model, vector).moved(alpha):
            single = snapshot(model)
        with pair.moved(*both):
            assert same(snapshot(model), single)


def test_the_vectors_of_a_pair_may_change_places() -> None:
    model = small()
    first, second, pair = pair_of(model)
    with pair.moved(0.7, -1.3):
        one = snapshot(model)
    with ResidentPair(model, second, first).moved(-1.3, 0.7):
        close(snapshot(model), one, 1)


def test_an_exception_inside_puts_a_pair_back_too() -> None:
    model = small()
    before = snapshot(model)
    _, _, pair = pair_of(model)

    def fail() -> None:
        with pair.moved(2.0, 1.0):
            assert not same(snapshot(model), before)
            raise KeyError("boom")

    with pytest.raises(KeyError, match="boom"):
        fail()
    assert same(snapshot(model), before)


@pytest.mark.parametrize("architecture", BOTH)
def test_a_resident_pair_of_clip_models_equals_theta_plus_both_vectors(architecture: str) -> None:
    model = tiny(architecture)
    before, strides = snapshot(model), [parameter.stride() for parameter in model.parameters()]
    first, second = (0.1 * TaskVector.between(before, tiny(architecture, seed=seed).state_dict()) for seed in (1, 2))
    # as read from a file: contiguous, whatever the layout of the model's weights
    first = TaskVector({key: value.contiguous() for key, value in first.tensors.items()}, first.integer_buffers)
    with ResidentPair(model, first, second).moved(-1.5, 0.5):
        inside = snapshot(model)
    close(inside, before + (-1.5 * first + 0.5 * second), 1)
    assert changed(inside, before) >= changed(before + first, before)
    assert same(snapshot(model), before)
    assert [parameter.stride() for parameter in model.parameters()] == strides


def test_a_pair_moves_text_if_either_vector_does() -> None:
    model = tiny()
    zero = 0.0 * TaskVector.between(model.state_dict(), tiny(seed=1).state_dict())
    image_only = TaskVector({**zero.tensors, "visual.proj": torch.ones_like(zero.tensors["visual.proj"])})
    scale = TaskVector({**zero.tensors, "logit_scale": torch.tensor(0.5)})
    assert not ResidentPair(model, image_only, image_only).moves_text
    assert ResidentPair(model, image_only, scale).moves_text
    assert ResidentPair(model, scale, image_only).moves_text
    before = snapshot(model)
    with ResidentPair(model, zero, image_only).moved(1.0, 1.0):
        assert changed(snapshot(model), before) == {"visual.proj"}
    with ResidentPair(model, zero, zero).moved(1.0, 1.0):
        assert same(snapshot(model), before)


def test_a_pair_of_another_model_is_refused_by_name() -> None:
    model, other = small(), TaskVector({"w": torch.zeros(1)})
    with pytest.raises(CheckpointError, match="model and first task vector: keys differ"):
        ResidentPair(model, other, direction(model))
    with pytest.raises(CheckpointError, match="model and second task vector: keys differ"):
        ResidentPair(model, direction(model), other)
