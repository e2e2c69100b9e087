import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from tbar_ray.errors import CheckpointError
from tbar_ray.models.in_place import InPlaceModel, InPlacePair
from tbar_ray.models.task_vector import TaskVector
from tests.models.tiny import BOTH, changed, close, same, snapshot, tiny

FEW = settings(max_examples=30)


def small() -> nn.Module:
    """Return a module with weights, float statistics and a counter."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4))


def direction(model: nn.Module, seed: int = 1) -> TaskVector:
    generator = torch.Generator().manual_seed(seed)
    start = snapshot(model)
    end = {k: v + torch.randn(v.shape, generator=generator) if v.is_floating_point() else v for k, v in start.items()}
    return TaskVector.between(start, end)


def test_a_model_that_is_settled_stays_where_it_was_moved() -> None:
    model = small()
    vector, before = direction(model), snapshot(model)
    in_place = InPlaceModel(model, vector)
    with in_place.moved(2.0):
        moved = snapshot(model)
        in_place.settle()
    assert same(snapshot(model), moved)
    assert not same(moved, before)


@FEW
@given(st.lists(st.floats(-50, 50), min_size=1, max_size=20))
def test_a_resident_model_is_put_back_bit_for_bit_after_any_path(path: list[float]) -> None:
    model = small()
    vector, before = direction(model), snapshot(model)
    in_place = InPlaceModel(model, vector)
    for alpha in path:
        with in_place.moved(-alpha) as moved:
            assert moved is model
            close(snapshot(model), before + -alpha * vector, 100)
        assert same(snapshot(model), before)


def test_each_move_starts_from_the_base_so_that_rounding_does_not_add_up() -> None:
    model = small()
    in_place = InPlaceModel(model, direction(model))
    with in_place.moved(0.1):
        first = snapshot(model)
    for step in range(1, 200):
        with in_place.moved(step * 0.37):
            pass
    with in_place.moved(0.1):
        assert same(snapshot(model), first)


def test_an_exception_inside_puts_the_model_back_too() -> None:
    model = small()
    before = snapshot(model)
    in_place = InPlaceModel(model, direction(model))

    def fail() -> None:
        with in_place.moved(2.0):
            assert not same(snapshot(model), before)
            raise KeyError("boom")

    with pytest.raises(KeyError, match="boom"):
        fail()
    assert same(snapshot(model), before)


def test_at_coefficient_zero_nothing_moves() -> None:
    model = small()
    before = snapshot(model)
    with InPlaceModel(model, direction(model)).moved(0.0):
        assert same(snapshot(model), before)


@pytest.mark.parametrize("architecture", BOTH)
def test_a_resident_clip_model_equals_theta_plus_the_vector(architecture: str) -> None:
    model = tiny(architecture)
    before = snapshot(model)
    vector = 0.1 * TaskVector.between(before, tiny(architecture, seed=1).state_dict())
    with InPlaceModel(model, vector).moved(-1.5):
        inside = snapshot(model)
    close(inside, before + -1.5 * vector, 1)
    assert changed(inside, before)
    assert same(snapshot(model), before)


def test_only_a_vector_of_the_image_tower_leaves_the_text_tower() -> None:
    model = tiny()
    zero = 0.0 * TaskVector.between(model.state_dict(), tiny(seed=1).state_dict())
    image_only = TaskVector({**zero.tensors, "visual.proj": torch.ones_like(zero.tensors["visual.proj"])})
    scale = TaskVector({**zero.tensors, "logit_scale": torch.tensor(0.5)})
    assert not InPlaceModel(model, image_only).moves_text
    assert InPlaceModel(model, scale).moves_text
    before = snapshot(model)
    with InPlaceModel(model, image_only).moved(1.0):
        assert changed(snapshot(model), before) == {"visual.proj"}
    with InPlaceModel(model, zero).moved(1.0):
        assert same(snapshot(model), before)


def test_a_vector_of_another_model_is_refused() -> None:
    with pytest.raises(CheckpointError, match="model and task vector: keys differ"):
        InPlaceModel(small(), TaskVector({"w": torch.zeros(1)}))


def pair_of(model: nn.Module) -> tuple[TaskVector, TaskVector, InPlacePair]:
    first, second = direction(model, 1), direction(model, 2)
    return first, second, InPlacePair(model, first, second)


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
        with InPlaceModel(model, vector).moved(alpha):
            single = snapshot(model)
        with pair.moved(*both):
            assert same(snapshot(model), single)


def test_the_vectors_of_a_pair_may_change_places() -> None:
    model = small()
    first, second, pair = pair_of(model)
    with pair.moved(0.7, -1.3):
        one = snapshot(model)
    with InPlacePair(model, second, first).moved(-1.3, 0.7):
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
    with InPlacePair(model, first, second).moved(-1.5, 0.5):
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
    assert not InPlacePair(model, image_only, image_only).moves_text
    assert InPlacePair(model, image_only, scale).moves_text
    assert InPlacePair(model, scale, image_only).moves_text
    before = snapshot(model)
    with InPlacePair(model, zero, image_only).moved(1.0, 1.0):
        assert changed(snapshot(model), before) == {"visual.proj"}
    with InPlacePair(model, zero, zero).moved(1.0, 1.0):
        assert same(snapshot(model), before)


def test_a_pair_of_another_model_is_refused_by_name() -> None:
    model, other = small(), TaskVector({"w": torch.zeros(1)})
    with pytest.raises(CheckpointError, match="model and first task vector: keys differ"):
        InPlacePair(model, other, direction(model))
    with pytest.raises(CheckpointError, match="model and second task vector: keys differ"):
        InPlacePair(model, direction(model), other)
