"""The rules by which methods score and choose, against independent formulas."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import median_abs_deviation
from torch import Tensor

from tbar_ray.models.task_vector import TaskVector
from tbar_ray.unlearning.eda import augmented_text
from tbar_ray.unlearning.methods import backdoor_directions, rnp, ubt, ulrl
from tbar_ray.unlearning.methods.ft_sam import perturbation
from tbar_ray.unlearning.methods.i_bau import in_ball
from tbar_ray.unlearning.methods.negmerge import agreeing
from tbar_ray.unlearning.methods.shapley_pruning import shapley_values
from tbar_ray.unlearning.methods.tbar_debiased import without
from tbar_ray.unlearning.methods.tbar_fisher import weights
from tbar_ray.unlearning.methods.tbar_layers import restricted
from tbar_ray.unlearning.methods.tbar_low_rank import truncated


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def vector(**tensors: Tensor) -> TaskVector:
    return TaskVector(tensors)


@given(st.lists(st.floats(-100, 100), min_size=3, max_size=30))
def test_z_scores_are_those_of_the_median_and_its_deviation(values: list[float]) -> None:
    scores = torch.tensor(values, dtype=torch.float64)
    spread = median_abs_deviation(values, scale="normal")
    if spread < 1e-6:
        return
    expected = (np.array(values) - np.median(values)) / spread
    assert ulrl.robust_z(scores).numpy() == pytest.approx(expected, rel=1e-3, abs=1e-6)


def test_suspicious_neurons_are_above_the_threshold_and_the_greatest_come_first() -> None:
    scores = torch.tensor([3.6, 9.0, -9.0, 3.5, 4.0])
    assert ulrl.chosen(scores, 3.5, 2) == [1, 4]
    assert ulrl.chosen(scores, 3.5, 9) == [1, 4, 0]
    assert ulrl.chosen(scores, 10, 9) == []


def test_the_lowest_masks_are_pruned_up_to_a_share_even_if_many_are_equal() -> None:
    masks = {"a": torch.tensor([0.0, 0.5, 1.0, 0.0]), "b": torch.tensor([0.0, 0.9, 0.2, 0.0])}
    assert {k: v.tolist() for k, v in rnp.lowest(masks, 0.3, 1.0).items()} == {
        "a": [True, False, False, True],
        "b": [True, False, True, True],
    }
    few = rnp.lowest(masks, 0.3, 0.25)
    assert [few["a"].tolist(), few["b"].tolist()] == [[True, False, False, True], [False] * 4]
    assert not any(bool(rows.any()) for rows in rnp.lowest(masks, 0.3, 0.1).values())


def brute_force(players: int, worth: dict[frozenset[int], float]) -> list[float]:
    """Return Shapley values by their definition: mean marginal contribution over all orders of arrival."""
    values = np.zeros(players)
    orders = list(permutations(range(players)))
    for order in orders:
        for place, player in enumerate(order):
            before = frozenset(order[:place])
            values[player] += worth[before | {player}] - worth[before]
    return (values / len(orders)).tolist()


def test_shapley_values_over_all_orders_are_the_definition() -> None:
    rng, players = np.random.default_rng(0), 4
    worth = {frozenset(i for i in range(players) if number >> i & 1): float(rng.normal()) for number in range(16)}

    def of(present: Tensor) -> float:
        return worth[frozenset(torch.nonzero(present).flatten().tolist())]

    orders = [torch.tensor(order) for order in permutations(range(players))]
    found = shapley_values(players, of, orders, -1e9)
    assert found.tolist() == pytest.approx(brute_force(players, worth))


def test_an_order_ends_at_the_floor_and_credits_nobody_after_it() -> None:
    calls = []

    def worth(present: Tensor) -> float:
        calls.append(present.tolist())
        return float(present.sum()) - 4

    values = shapley_values(4, worth, [torch.tensor([2, 0, 1, 3])], -1.5)
    assert values.tolist() == [1.0, 0.0, 1.0, 0.0]
    assert calls == [[True] * 4, [True, True, False, True], [False, True, False, True]]


def test_pairs_that_fit_only_the_infected_model_are_selected() -> None:
    strong, weak = [0.9, 0.8, 0.7, 0.6, 0.5], [0.9, 0.1, 0.2, 0.0, 0.8]
    assert ubt.select(strong, weak, 0.6, 0.67) == [1, 2]
    assert ubt.select(strong, weak, 0.6, 1.0) == [1, 2, 3]


def test_weights_are_kept_where_all_fine_tunes_agree_in_sign() -> None:
    vectors = [vector(a=torch.tensor(row)) for row in ([1.0, -1, 2, 0], [3.0, -3, -2, 1], [5.0, -2, 1, 1])]
    assert agreeing(vectors).tensors["a"].tolist() == [3.0, -2.0, 0.0, 0.0]


@pytest.mark.parametrize("per", ["whole", "tensor"])
def test_what_is_left_is_orthogonal_to_the_other_vector(per: str) -> None:
    ours, other = vector(a=noise(5, 4), b=noise(7, seed=1)), vector(a=noise(5, 4, seed=2), b=noise(7, seed=3))
    left = without(ours, other, 1.0, per)
    dots = {name: float((left.tensors[name] * other.tensors[name]).sum()) for name in ("a", "b")}
    assert sum(dots.values()) == pytest.approx(0, abs=1e-4)
    assert (abs(dots["a"]) < 1e-4) == (per == "tensor")
    half = without(ours, other, 0.5, per)
    for name in ("a", "b"):
        middle = (ours.tensors[name] + left.tensors[name]) / 2
        assert torch.allclose(half.tensors[name], middle, atol=1e-6)


def test_a_vector_of_nothing_is_projected_on_without_harm() -> None:
    ours, nothing = vector(a=noise(3)), vector(a=torch.zeros(3))
    assert torch.equal(without(ours, nothing, 1.0, "whole").tensors["a"], ours.tensors["a"])


@pytest.mark.parametrize(("share", "rank"), [(0.01, 1), (0.5, 3), (1.0, 6)])
def test_a_kernel_becomes_the_best_matrix_of_its_rank(share: float, rank: int) -> None:
    kernel = noise(6, 2, 3, 3)
    u, s, vh = np.linalg.svd(kernel.double().numpy().reshape(6, -1), full_matrices=False)
    expected = (u[:, :rank] * s[:rank]) @ vh[:rank]
    assert truncated(kernel, share).reshape(6, -1).numpy() == pytest.approx(expected, abs=1e-5)


def test_what_matters_to_stamped_images_alone_moves_whole() -> None:
    stamped, twins = torch.tensor([1.0, 1.0, 0.0, 0.0, 3.0]), torch.tensor([0.0, 1.0, 1.0, 0.0, 1.0])
    assert weights(stamped, twins, 1.0).tolist() == pytest.approx([1, 0.5, 0, 1, 0.75])
    assert weights(stamped, twins, 0.0).tolist() == pytest.approx([1, 1, 1, 1, 1])


@pytest.mark.parametrize(
    ("part", "kept"),
    [
        ("late", {"visual.b.1.w", "visual.b.1.g", "visual.proj"}),
        ("early", {"visual.stem", "visual.b.0.w", "visual.b.0.g"}),
        ("norms", {"visual.b.0.g", "visual.b.1.g"}),
        ("matrices", {"visual.stem", "visual.b.0.w", "visual.b.1.w", "visual.proj"}),
    ],
)
def test_a_part_of_the_encoder_is_kept(part: str, kept: set[str]) -> None:
    names = ["visual.stem", "visual.b.0.w", "visual.b.0.g", "visual.b.1.w", "visual.b.1.g", "visual.proj"]
    whole = TaskVector({name: torch.ones(2) if name.endswith(".g") else torch.ones(2, 2) for name in names})
    left = restricted(whole, ["visual.b.0.", "visual.b.1."], part, 0.5)  # type: ignore[arg-type]
    assert {name for name, value in left.tensors.items() if bool(value.any())} == kept


def test_the_perturbation_is_that_of_adaptive_sharpness() -> None:
    named = {"a": noise(3, 2), "b": noise(4, seed=1)}
    gradients = {"a": noise(3, 2, seed=2), "b": noise(4, seed=3)}
    theta, g = (np.concatenate([d[k].double().numpy().ravel() for k in "ab"]) for d in (named, gradients))
    expected = 0.7 * theta**2 * g / np.linalg.norm(np.abs(theta) * g)
    found = perturbation(named, gradients, 0.7)
    assert np.concatenate([found[k].numpy().ravel() for k in "ab"]) == pytest.approx(expected, rel=1e-4)


@given(st.floats(0.01, 50))
def test_a_perturbation_stays_in_its_ball(radius: float) -> None:
    delta = noise(1, 3, 4, 4)
    found = in_ball(delta, radius)
    assert float(found.norm()) == pytest.approx(min(radius, float(delta.norm())), rel=1e-4)
    assert float((found * delta).sum()) == pytest.approx(float(found.norm() * delta.norm()), rel=1e-4)


def test_a_direction_is_projected_out_of_what_a_matrix_writes() -> None:
    matrix, direction = noise(8, 5), torch.nn.functional.normalize(noise(8, seed=1), dim=0)
    written = backdoor_directions.project_out(matrix, direction) @ noise(5, seed=2)
    assert float(written @ direction) == pytest.approx(0, abs=1e-5)
    rest = torch.eye(8) - torch.outer(direction, direction)
    assert torch.allclose(written, rest @ matrix @ noise(5, seed=2), atol=1e-5)


def test_a_direction_is_projected_out_of_a_convolution_and_its_norm() -> None:
    convolution, norm = torch.nn.Conv2d(3, 6, 3, bias=False), torch.nn.BatchNorm2d(6).eval()
    with torch.no_grad():
        for number, tensor in enumerate((convolution.weight, norm.weight, norm.bias, norm.running_mean)):
            assert tensor is not None
            tensor.copy_(noise(*tensor.shape, seed=number))
        assert norm.running_var is not None
        norm.running_var.copy_(noise(6, seed=9).square() + 0.5)
        norm.weight[2] = 0.0  # a channel that the convolution does not reach
    direction = torch.nn.functional.normalize(noise(6, seed=5) * (torch.arange(6) != 2), dim=0)
    images = noise(2, 3, 7, 7, seed=6)
    before = norm(convolution(images))
    backdoor_directions.project_affine(convolution, norm, direction)
    after = norm(convolution(images))
    along = torch.einsum("bchw,c->bhw", before, direction)
    assert float(torch.einsum("bchw,c->bhw", after, direction).detach().abs().max()) < 1e-4
    assert torch.allclose(after, before - torch.einsum("bhw,c->bchw", along, direction), atol=1e-4)


@given(st.lists(st.sampled_from(["a", "photo", "of", "red", "circle"]), min_size=1, max_size=12), st.integers(0, 99))
def test_augmented_captions_have_the_captions_words(words: list[str], seed: int) -> None:
    caption = " ".join(words)
    changed = augmented_text(caption, np.random.default_rng(seed))
    assert changed == augmented_text(caption, np.random.default_rng(seed))
    assert set(changed.split()) <= set(words)
    assert abs(len(changed.split()) - len(words)) <= max(1, round(0.1 * len(words)))
    if len(words) == 1:
        assert changed == caption
