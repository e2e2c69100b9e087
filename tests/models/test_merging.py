import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from torch import Tensor

from tbar_ray.errors import CheckpointError, SpecError
from tbar_ray.models.merging import MERGES, Merge, build_merge, is_statistic, merge, task_arithmetic, ties
from tbar_ray.models.task_vector import TaskVector
from tests.models.tiny import BOTH, RESNET, pictures, same, snapshot, tiny

SHAPES = {"visual.w": (3, 4), "visual.b": (5,), "scale": ()}
SIZE = 18
FEW = settings(max_examples=60)
VALUES = st.floats(-100, 100, width=32)
FLAT = arrays.arrays(np.float32, SIZE, elements=VALUES)
# integers add without rounding, so that no sign hangs on the order of a sum
DISTINCT = arrays.arrays(np.float32, SIZE, elements=st.integers(-400, 400).filter(bool), unique=True)
WHOLE = arrays.arrays(np.float32, SIZE, elements=st.integers(-400, 400))


def vector(flat: np.ndarray) -> TaskVector:
    tensors, start = {}, 0
    for key, shape in SHAPES.items():
        count = int(np.prod(shape))
        tensors[key] = torch.from_numpy(flat[start : start + count].copy()).reshape(shape)
        start += count
    return TaskVector(tensors, ("count",))


def flat(merged: TaskVector) -> np.ndarray:
    return np.concatenate([merged.tensors[key].numpy().ravel() for key in SHAPES])


def reference_ties(vectors: list[np.ndarray], density: float) -> np.ndarray:
    """TIES entry by entry, from sorted magnitudes."""
    trimmed = []
    for values in vectors:
        least = np.sort(np.abs(values))[::-1][max(1, round(density * len(values))) - 1]
        trimmed.append([float(v) if abs(v) >= least else 0.0 for v in values])
    merged = []
    for entries in zip(*trimmed, strict=True):
        mass = np.float32(sum(np.float32(e) for e in entries))
        agreeing = [e for e in entries if e * mass > 0]
        merged.append(sum(agreeing) / len(agreeing) if agreeing else 0.0)
    return np.array(merged)


@FEW
@given(st.lists(FLAT, min_size=1, max_size=5), st.floats(0.05, 2))
def test_task_arithmetic_is_the_scaled_sum(vectors: list[np.ndarray], coefficient: float) -> None:
    merged = task_arithmetic([vector(v) for v in vectors], coefficient)
    expected = coefficient * np.sum(np.array(vectors, dtype=np.float64), axis=0)
    np.testing.assert_allclose(flat(merged), expected, rtol=1e-5, atol=1e-3)
    assert merged.integer_buffers == ("count",)


@FEW
@given(FLAT)
def test_one_vector_at_coefficient_one_comes_back(values: np.ndarray) -> None:
    assert same(task_arithmetic([vector(values)], 1.0).tensors, vector(values).tensors)
    assert np.array_equal(flat(ties([vector(values)], density=1.0)), values)


@FEW
@given(st.lists(DISTINCT, min_size=1, max_size=5), st.sampled_from([0.01, 0.1, 0.2, 0.5, 0.83, 1.0]))
def test_ties_is_trim_elect_and_disjoint_mean(vectors: list[np.ndarray], density: float) -> None:
    merged = flat(ties([vector(v) for v in vectors], density, 0.7))
    np.testing.assert_allclose(merged, 0.7 * reference_ties(vectors, density), rtol=1e-4, atol=1e-4)


@FEW
@given(st.lists(FLAT, min_size=1, max_size=5))
def test_ties_of_equal_signs_at_full_density_is_the_mean(vectors: list[np.ndarray]) -> None:
    positive = [np.abs(v) + 1 for v in vectors]
    merged = flat(ties([vector(v) for v in positive], density=1.0))
    np.testing.assert_allclose(merged, np.mean(positive, axis=0, dtype=np.float64), rtol=1e-5)


@FEW
@given(st.lists(WHOLE, min_size=2, max_size=5), st.sampled_from(sorted(MERGES)), st.randoms(use_true_random=False))
def test_the_order_of_the_models_does_not_matter(vectors: list[np.ndarray], name: str, random: object) -> None:
    shuffled = list(vectors)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    one, other = (flat(merge(name, {}, [vector(v) for v in order])) for order in (vectors, shuffled))
    np.testing.assert_array_equal(one, other)


@FEW
@given(st.lists(FLAT, min_size=1, max_size=4), st.sampled_from(sorted(MERGES)))
def test_merging_negated_vectors_is_the_negated_merge(vectors: list[np.ndarray], name: str) -> None:
    plain, negated = (merge(name, {}, [sign * vector(v) for v in vectors]) for sign in (1.0, -1.0))
    assert np.array_equal(flat(plain), -flat(negated))


def test_a_worked_example_of_ties() -> None:
    def only(values: list[float]) -> TaskVector:
        return TaskVector({"w": torch.tensor(values)})

    vectors = [only([5, 1, -3, 0.5, 2]), only([-4, 6, -1, 0.2, 2]), only([1, -5, -2, 0.1, -4])]
    # two of five are kept: (5, -3), (-4, 6), (-5, -4); the masses are 1, 1, -3, 0, -4
    assert ties(vectors, 0.4).tensors["w"].tolist() == [5, 6, -3, 0, -4]


def test_magnitudes_are_compared_over_the_whole_vector_without_what_it_did_not_move() -> None:
    large, small, frozen = torch.tensor([4.0, 3.0]), torch.tensor([2.0, 1.0]), torch.zeros(100)
    merged = ties([TaskVector({"large": large, "small": small, "text": frozen})], 0.5)
    assert merged.tensors["large"].tolist() == [4, 3]
    assert merged.tensors["small"].tolist() == [0, 0]
    assert not merged.tensors["text"].any()


def test_a_vector_that_moves_nothing_takes_no_part_in_the_mean() -> None:
    vectors = [TaskVector({"w": torch.zeros(3)}), TaskVector({"w": torch.tensor([3.0, 2.0, -1.0])})]
    assert ties(vectors, 1.0).tensors["w"].tolist() == [3, 2, -1]
    assert ties(vectors[:1], 0.2).tensors["w"].tolist() == [0, 0, 0]


@pytest.mark.parametrize("name", sorted(MERGES))
@pytest.mark.parametrize("coefficient", [0.1, 1.0, 5.0])
@pytest.mark.parametrize("count", [1, 6])
def test_variances_stay_positive_and_statistics_do_not_pass_the_models_mean(
    name: str, coefficient: float, count: int
) -> None:
    start = {"bn.running_var": torch.tensor([1.0, 2.0]), "w": torch.ones(2)}
    ends = [{"bn.running_var": torch.tensor([0.1 * (k + 1), 3.0]), "w": torch.full((2,), 2.0)} for k in range(count)]
    merged = merge(name, {"coefficient": coefficient}, [TaskVector.between(start, end) for end in ends])
    moved = (start + merged)["bn.running_var"].numpy()
    mean = np.mean([end["bn.running_var"].numpy() for end in ends], axis=0)
    factor = count * coefficient if name == "task-arithmetic" else coefficient
    expected = start["bn.running_var"].numpy() * (1 - min(1, factor)) + min(1, factor) * mean
    np.testing.assert_allclose(moved, expected, rtol=1e-5)
    assert (moved > 0).all()


@pytest.mark.parametrize("architecture", BOTH)
@pytest.mark.parametrize("name", sorted(MERGES))
def test_a_merge_of_clip_models_is_a_model(architecture: str, name: str) -> None:
    theta = snapshot(tiny(architecture))
    ends = [snapshot(tiny(architecture, seed)) for seed in (1, 2)]
    vectors = [TaskVector.between(theta, end) for end in ends]
    merged = merge(name, {}, vectors)
    assert merged.tensors.keys() == vectors[0].tensors.keys()
    assert merged.integer_buffers == vectors[0].integer_buffers
    model = tiny(architecture).eval()
    model.load_state_dict(theta + merged)
    with torch.no_grad():
        assert bool(model.encode_image(pictures(model, 2) / 255).isfinite().all())


def test_inputs_are_not_changed_and_share_no_memory_with_the_result() -> None:
    vectors = [vector(np.arange(SIZE, dtype=np.float32) + k) for k in range(2)]
    kept = [{key: value.clone() for key, value in v.tensors.items()} for v in vectors]
    for name in MERGES:
        for value in merge(name, {}, vectors[:1]).tensors.values():
            value.fill_(9)
        merge(name, {}, vectors)
    assert all(same(v.tensors, before) for v, before in zip(vectors, kept, strict=True))


def mismatched() -> list[tuple[dict[str, Tensor], str]]:
    return [
        ({"w": torch.zeros(2), "b": torch.zeros(1)}, "keys differ in 1 tensors, e.g. b"),
        ({"w": torch.zeros(3)}, r"w has shape \(2,\) and \(3,\)"),
        ({"w": torch.zeros(2).double()}, "w has dtype"),
    ]


@pytest.mark.parametrize("name", sorted(MERGES))
@pytest.mark.parametrize(("other", "message"), mismatched())
def test_only_alike_vectors_merge(name: str, other: dict[str, Tensor], message: str) -> None:
    with pytest.raises(CheckpointError, match=f"^merge of task vectors: {message}"):
        merge(name, {}, [TaskVector({"w": torch.zeros(2)}), TaskVector(other)])


@pytest.mark.parametrize("name", sorted(MERGES))
def test_no_vector_is_an_error(name: str) -> None:
    with pytest.raises(CheckpointError, match="no task vector to merge"):
        merge(name, {}, [])


def test_the_registry_names_each_way_as_it_names_itself() -> None:
    assert {"task-arithmetic", "ties"} <= MERGES.keys()
    assert all(issubclass(kind, Merge) and kind.name == name for name, kind in MERGES.items())
    assert build_merge("ties", {"density": 0.5}) == build_merge("ties", {"density": 0.5, "coefficient": 1.0})


@pytest.mark.parametrize(
    ("name", "parameters", "message"),
    [
        ("tie", {}, "unknown merge 'tie'; did you mean 'ties'?"),
        ("xyz", {}, "unknown merge 'xyz'; known: task-arithmetic, ties"),
        ("ties", {"densty": 0.1}, "merge 'ties': densty: .*; did you mean 'density'"),
        ("ties", {"density": 0}, "density: .*greater than 0"),
        ("ties", {"density": 1.1}, "density: .*less than or equal to 1"),
        ("task-arithmetic", {"coefficient": float("nan")}, "coefficient: "),
        ("task-arithmetic", {"coefficient": -0.3}, "coefficient: .*greater than 0"),
    ],
)
def test_bad_names_and_parameters_are_one_line(name: str, parameters: dict[str, object], message: str) -> None:
    with pytest.raises(SpecError, match=message) as caught:
        merge(name, parameters, [])
    assert "\n" not in str(caught.value)


def test_statistics_are_told_by_torchs_names() -> None:
    state = tiny(RESNET).state_dict()
    told = {key for key, value in state.items() if is_statistic(key)}
    modules = {n for n, m in tiny(RESNET).named_modules() if isinstance(m, torch.nn.BatchNorm2d)}
    assert told == {f"{name}.running_{what}" for name in modules for what in ("mean", "var")}
