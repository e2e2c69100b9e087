import copy
import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

from tbar_ray.errors import DataError
from tbar_ray.evaluation.disentanglement_error import (
    Head,
    disentanglement_map,
    joint_errors,
    reference_predictions,
)
from tbar_ray.evaluation.disentanglement_map import DisentanglementMap, Terms
from tbar_ray.evaluation.normalised_images import NormalisedImages, statistics_batches
from tbar_ray.evaluation.zeroshot import predict
from tbar_ray.models.factory import Preprocessing, preprocessing
from tbar_ray.models.in_place import InPlacePair
from tbar_ray.models.statistics import reestimate
from tbar_ray.models.task_vector import TaskVector
from tests.models.tiny import BOTH, RESNET, pictures, same, snapshot, tiny, tokenizer

ALPHAS = (-2.0, -0.5, 0.0, 1.0)
FEW = settings(max_examples=20)


class Pico(nn.Module):
    """The least that is classified as CLIP is: an image tower of two layers."""

    def __init__(self) -> None:
        super().__init__()
        self.visual = nn.Sequential(nn.Flatten(), nn.Linear(12, 16), nn.Tanh(), nn.Linear(16, 8))

    def encode_image(self, images: Tensor, normalize: bool = False) -> Tensor:
        found = self.visual(images)
        return functional.normalize(found, dim=-1) if normalize else found


WANTS = Preprocessing(2, (0.5, 0.5, 0.5), (0.25, 0.25, 0.25), "bicubic")


def step(state: dict[str, Tensor], seed: int, size: float) -> TaskVector:
    """Return a random vector in the image tower's weights, BatchNorm's statistics left alone."""
    draws = torch.Generator().manual_seed(seed)
    end = {
        key: value + size * torch.randn(value.shape, generator=draws)
        if key.startswith("visual.") and value.is_floating_point() and "running" not in key
        else value
        for key, value in state.items()
    }
    return TaskVector.between(state, end)


class Case:
    """A pico model with two vectors, and as many images of either kind as asked for."""

    def __init__(self, seed: int = 0, n_c: int = 40, n_t: int = 30) -> None:
        torch.manual_seed(seed)
        self.model = Pico()
        self.state = snapshot(self.model)
        self.tau_c, self.tau_t = step(self.state, seed + 1, 0.3), step(self.state, seed + 2, 0.3)
        self.head = functional.normalize(torch.randn(6, 8), dim=-1)
        self.raw_c, self.raw_t = (torch.randint(0, 256, (count, 3, 2, 2), dtype=torch.uint8) for count in (n_c, n_t))
        self.pair = InPlacePair(self.model, self.tau_c, self.tau_t)
        self.images_c, self.images_t = (NormalisedImages(raw, WANTS, "cpu", 16) for raw in (self.raw_c, self.raw_t))

    def map(self, alphas_c: tuple[float, ...] = ALPHAS, alphas_t: tuple[float, ...] = ALPHAS) -> DisentanglementMap:
        return disentanglement_map(self.pair, alphas_c, alphas_t, self.images_c, self.images_t, self.head)


def naive(
    model: nn.Module,
    taus: tuple[TaskVector, TaskVector],
    alphas: tuple[tuple[float, ...], tuple[float, ...]],
    raw: tuple[Tensor, Tensor],
    head: Head,
    preprocess: Preprocessing,
    batch_size: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Return both terms with a copied model and four evaluations per cell."""
    theta, own = snapshot(model), copy.deepcopy(model)

    def answers(state: dict[str, Tensor], images: Tensor) -> np.ndarray:
        own.load_state_dict(state)
        return predict(own, head if isinstance(head, Tensor) else head(own), images, preprocess, batch_size).numpy()

    terms = np.empty((2, len(alphas[0]), len(alphas[1])))
    for i, alpha_c in enumerate(alphas[0]):
        for j, alpha_t in enumerate(alphas[1]):
            joint = theta + alpha_c * taus[0] + alpha_t * taus[1]
            singles = (theta + alpha_c * taus[0], theta + alpha_t * taus[1])
            for term in (0, 1):
                terms[term, i, j] = np.mean(answers(singles[term], raw[term]) != answers(joint, raw[term]))
    return terms[0], terms[1]


@FEW
@given(st.integers(0, 10_000))
def test_the_map_is_that_of_copied_models_and_four_evaluations_a_cell(seed: int) -> None:
    case = Case(seed)
    clean, triggered = naive(
        case.model, (case.tau_c, case.tau_t), (ALPHAS, ALPHAS[1:]), (case.raw_c, case.raw_t), case.head, WANTS, 16
    )
    found = case.map(ALPHAS, ALPHAS[1:])
    # rounding may turn an image that lies between two classes
    np.testing.assert_allclose(found.clean_term, clean, atol=1.01 / 40)
    np.testing.assert_allclose(found.triggered_term, triggered, atol=1.01 / 30)
    np.testing.assert_allclose(found.total, found.clean_term + found.triggered_term)
    assert found.clean_term.max() > 0.2
    assert found.triggered_term.max() > 0.2
    assert same(snapshot(case.model), case.state)


@pytest.mark.parametrize("architecture", BOTH)
def test_the_map_of_a_clip_model(architecture: str) -> None:
    model = tiny(architecture)
    state, preprocess = snapshot(model), preprocessing(model)
    taus = (step(state, 1, 0.05), step(state, 2, 0.05))
    colours = [(torch.arange(count) * 255 // count).to(torch.uint8).view(-1, 1, 1, 1) for count in (12, 9)]
    raw = tuple(pictures(model, len(own), seed=3) // 4 * 3 // 4 + own // 4 * 3 for own in colours)
    draws = torch.Generator().manual_seed(5)
    head = functional.normalize(torch.randn(10, 64, generator=draws), dim=-1)
    alphas_c, alphas_t = (-1.0, 0.7), (-0.5, 0.0, 1.0)
    expected = naive(model, taus, (alphas_c, alphas_t), raw, head, preprocess, 8)
    found = disentanglement_map(
        InPlacePair(model, *taus),
        alphas_c,
        alphas_t,
        *(NormalisedImages(own, preprocess, "cpu", 8) for own in raw),
        head,
    )
    np.testing.assert_allclose(found.clean_term, expected[0], atol=1.01 / 12)
    np.testing.assert_allclose(found.triggered_term, expected[1], atol=1.01 / 9)
    assert found.clean_term.max() > 0.3
    assert found.triggered_term.max() > 0.3
    assert same(snapshot(model), state)


@FEW
@given(st.integers(0, 10_000))
def test_each_term_vanishes_where_the_other_vector_has_no_part(seed: int) -> None:
    found = Case(seed).map()
    zero = ALPHAS.index(0.0)
    assert (found.clean_term[:, zero] == 0).all()
    assert (found.triggered_term[zero, :] == 0).all()
    assert found.total[zero, zero] == 0
    # there the other term is what the vector alone changes: not 0 in general
    assert found.clean_term[zero].max() > 0
    assert found.triggered_term[:, zero].max() > 0
    assert ((found.total >= 0) & (found.total <= 2)).all()


@FEW
@given(st.integers(0, 10_000))
def test_the_roles_are_symmetric(seed: int) -> None:
    case = Case(seed)
    there = case.map(ALPHAS, ALPHAS[:3])
    pair = InPlacePair(case.model, case.tau_t, case.tau_c)
    back = disentanglement_map(pair, ALPHAS[:3], ALPHAS, case.images_t, case.images_c, case.head)
    np.testing.assert_allclose(back.triggered_term, there.clean_term.T, atol=1.01 / 40)
    np.testing.assert_allclose(back.clean_term, there.triggered_term.T, atol=1.01 / 30)


def test_vectors_of_separate_parts_are_disentangled() -> None:
    # two blocks that share nothing: each vector and each kind of image has its own half of the features
    case = Case()
    model = Pico()
    model.visual = nn.Sequential(nn.Flatten(), nn.Linear(12, 8, bias=False))
    with torch.no_grad():
        model.visual[1].weight.zero_()
        model.visual[1].weight[:4, :6] = torch.eye(4, 6)
        model.visual[1].weight[4:, 6:] = torch.eye(4, 6)
    key, state = "visual.1.weight", snapshot(model)
    upper, lower = torch.zeros(8, 12), torch.zeros(8, 12)
    upper[:4, :6], lower[4:, 6:] = torch.rand(4, 6), torch.rand(4, 6)
    # pixels 127.5 are 0 after normalisation; flattened, the first six belong to channel 0 and half of channel 1
    preprocess = Preprocessing(2, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), "bicubic")
    raw_c, raw_t = case.raw_c.flatten(1).clone(), case.raw_t.flatten(1).clone()
    raw_c[:, 6:], raw_t[:, :6] = 0, 0
    images = [NormalisedImages(raw.view(-1, 3, 2, 2), preprocess, "cpu") for raw in (raw_c, raw_t)]
    pair = InPlacePair(model, TaskVector({key: upper}), TaskVector({key: lower}))
    found = disentanglement_map(pair, ALPHAS, ALPHAS, images[0], images[1], torch.eye(8))
    assert (found.total == 0).all()
    # and not because nothing changes
    alone = reference_predictions(pair, "clean", ALPHAS, images[0], torch.eye(8))
    assert (alone[0] != alone[3]).any()
    assert same(snapshot(model), state)


def test_one_cell_is_that_of_the_map() -> None:
    case = Case()
    found = case.map()
    rows_c = reference_predictions(case.pair, "clean", ALPHAS, case.images_c, case.head)
    rows_t = reference_predictions(case.pair, "triggered", ALPHAS, case.images_t, case.head)
    assert (rows_c.shape, rows_t.shape, rows_c.dtype) == ((4, 40), (4, 30), np.int64)
    for i, j in ((3, 0), (0, 3), (1, 1)):
        cell = joint_errors(
            case.pair, ALPHAS[i], ALPHAS[j], rows_c[i], rows_t[j], case.images_c, case.images_t, case.head
        )
        assert cell == Terms(found.clean_term[i, j], found.triggered_term[i, j], 40, 30)
        assert cell.total == found.total[i, j]


def test_references_are_the_predictions_of_the_single_models() -> None:
    case = Case()
    for which, tau, raw, images in (
        ("clean", case.tau_c, case.raw_c, case.images_c),
        ("triggered", case.tau_t, case.raw_t, case.images_t),
    ):
        rows = reference_predictions(case.pair, which, ALPHAS, images, case.head)  # type: ignore[arg-type]
        assert len({tuple(row) for row in rows.tolist()}) == len(ALPHAS)
        for alpha, row in zip(ALPHAS, rows, strict=True):
            own = Pico()
            own.load_state_dict(case.state + alpha * tau)
            assert row.tolist() == predict(own, case.head, raw, WANTS, 16).tolist()
    assert reference_predictions(case.pair, "clean", [], case.images_c, case.head).shape == (0, 40)


def test_images_that_are_not_kept_give_the_same() -> None:
    case = Case()
    bytes_c = case.raw_c.numel() * 4
    kept, anew = (NormalisedImages(case.raw_c, WANTS, "cpu", 16, bound) for bound in (bytes_c, bytes_c - 1))
    assert next(iter(kept)) is next(iter(kept))
    assert next(iter(anew)) is not next(iter(anew))
    assert len(kept) == len(anew) == 40
    for one, other in zip(kept, anew, strict=True):
        assert torch.equal(one, other)
        assert one.dtype == torch.float32
    rows = [reference_predictions(case.pair, "clean", ALPHAS, images, case.head) for images in (kept, anew)]
    np.testing.assert_array_equal(rows[0], rows[1])


def test_a_vector_of_the_text_tower_needs_a_head_of_its_own_everywhere() -> None:
    model = tiny()
    state, preprocess = snapshot(model), preprocessing(model)
    end = tiny(seed=1).state_dict()
    mixed = {key: value if not key.startswith("visual.") else state[key] for key, value in end.items()}
    taus = (0.2 * TaskVector.between(state, mixed), step(state, 2, 0.05))
    raw = (pictures(model, 6), pictures(model, 5, seed=1))
    images = [NormalisedImages(own, preprocess, "cpu") for own in raw]
    pair = InPlacePair(model, *taus)
    tokens = tokenizer()(["red circle", "blue square", "cat", "dog"])

    def head(moved: nn.Module) -> Tensor:
        with torch.no_grad():
            return moved.encode_text(tokens, normalize=True)

    with pytest.raises(DataError, match="moves the text tower"):
        disentanglement_map(pair, (0.0, 1.0), (0.0,), images[0], images[1], head(model))
    found = disentanglement_map(pair, (0.0, 1.0), (-1.0, 1.0), images[0], images[1], head)
    expected = naive(model, taus, ((0.0, 1.0), (-1.0, 1.0)), raw, head, preprocess, 256)
    np.testing.assert_allclose(found.clean_term, expected[0], atol=1.01 / 6)
    np.testing.assert_allclose(found.triggered_term, expected[1], atol=1.01 / 5)
    assert found.total.max() > 0.3


def test_a_model_without_answers_makes_a_cell_undefined_and_no_other() -> None:
    # BatchNorm's variances of a fresh model are 1; at α_c = −1 they become −0.5
    model = tiny(RESNET)
    state, preprocess = snapshot(model), preprocessing(model)
    wide = {key: value + 1.5 if "running_var" in key else value for key, value in state.items()}
    pair = InPlacePair(model, TaskVector.between(state, wide), step(state, 2, 0.01))
    images = [NormalisedImages(pictures(model, count), preprocess, "cpu") for count in (4, 3)]
    head = functional.normalize(torch.randn(5, 64, generator=torch.Generator().manual_seed(0)), dim=-1)
    found = disentanglement_map(pair, (-1.0, 0.0, 1.0), (0.0, 1.0), images[0], images[1], head)
    assert np.isnan(found.total).tolist() == [[True, True], [False, False], [False, False]]
    assert np.isnan(found.clean_term[0]).all()
    written = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert written["clean_term"][0] == [None, None]
    again = DisentanglementMap.from_dict(written)
    np.testing.assert_array_equal(again.total, found.total)
    # a point that has no part of an undefined cell is defined
    assert found.at(0.0, 0.5) == pytest.approx(found.total[1].mean())
    assert np.isnan(found.at(-0.5, 0.5))
    assert same(snapshot(model), state)


def test_images_and_references_that_do_not_fit_are_refused() -> None:
    case = Case()
    with pytest.raises(DataError, match="evaluation: no images"):
        NormalisedImages(case.raw_c[:0], WANTS, "cpu")
    rows_c = reference_predictions(case.pair, "clean", [1.0], case.images_c, case.head)[0]
    rows_t = reference_predictions(case.pair, "triggered", [1.0], case.images_t, case.head)[0]
    arguments = (case.images_c, case.images_t, case.head)
    with pytest.raises(DataError, match=r"40 clean images but references \(30,\)"):
        joint_errors(case.pair, 1.0, 1.0, rows_t, rows_t, *arguments)
    with pytest.raises(DataError, match=r"30 triggered images but references \(29,\)"):
        joint_errors(case.pair, 1.0, 1.0, rows_c, rows_t[1:], *arguments)


def test_with_clean_images_every_moved_model_has_statistics_of_its_own() -> None:
    model = tiny(RESNET).eval()
    state, preprocess = snapshot(model), preprocessing(model)
    taus = [step(state, seed, 0.05) for seed in (1, 2)]
    images = [NormalisedImages(pictures(model, 24, seed), preprocess, "cpu") for seed in (4, 5)]
    clean = statistics_batches(pictures(model, 16, 6), preprocess, "cpu")
    head = functional.normalize(torch.randn(12, 64, generator=torch.Generator().manual_seed(0)), dim=-1)

    def answers(moved: dict[str, Tensor], batches: NormalisedImages) -> np.ndarray:
        other = tiny(RESNET).eval()
        other.load_state_dict(moved)
        reestimate(other, clean)
        with torch.no_grad():
            found = [other.encode_image(batch, normalize=True) @ head.T for batch in batches]
        return torch.cat(found).argmax(-1).numpy()

    pair = InPlacePair(model, *taus)
    (reference_c,) = reference_predictions(pair, "clean", [1.0], images[0], head, clean)
    (reference_t,) = reference_predictions(pair, "triggered", [-2.0], images[1], head, clean)
    np.testing.assert_array_equal(reference_c, answers(state + taus[0], images[0]))
    np.testing.assert_array_equal(reference_t, answers(state + -2.0 * taus[1], images[1]))
    found = joint_errors(pair, 1.0, -2.0, reference_c, reference_t, images[0], images[1], head, clean)
    joint = (state + taus[0]) + -2.0 * taus[1]
    assert found.clean == (answers(joint, images[0]) != reference_c).mean()
    assert found.triggered == (answers(joint, images[1]) != reference_t).mean()
    (stale,) = reference_predictions(pair, "clean", [1.0], images[0], head)
    assert not np.array_equal(stale, reference_c)
    (own,) = reference_predictions(pair, "clean", [0.0], images[0], head, clean)
    np.testing.assert_array_equal(own, reference_predictions(pair, "clean", [0.0], images[0], head)[0])
    assert same(snapshot(model), state)
