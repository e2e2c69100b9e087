"""Angles and lengths in weight space: against NumPy's formulas, and where the answer is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from tbar_ray.errors import DataError
from tbar_ray.evaluation.geometry import (
    Gradient,
    cosine,
    image_weights,
    length,
    loss_gradient,
    overlap,
    overlap_by_depth,
    relative_length,
)
from tbar_ray.evaluation.normalised_images import NormalisedImages
from tbar_ray.models.factory import Preprocessing, preprocessing
from tests.models.tiny import BOTH, pictures, tiny

WANTS = Preprocessing(2, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), "bicubic")
SCALE = 3.0


class Linear(nn.Module):
    """The least that has a gradient: features W·x of 12 pixels, and a temperature."""

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.visual = nn.Linear(12, len(weight), bias=False)
        self.visual.weight = nn.Parameter(weight)
        self.logit_scale = nn.Parameter(torch.tensor(SCALE).log())

    def encode_image(self, images: Tensor, normalize: bool = False) -> Tensor:
        found: Tensor = self.visual(images.flatten(1))
        return functional.normalize(found, dim=-1) if normalize else found


def images_of(raw: Tensor, batch_size: int = 16) -> NormalisedImages:
    return NormalisedImages(raw, WANTS, "cpu", batch_size)


def by_hand(weight: Tensor, head: Tensor, raw: Tensor, labels: Tensor) -> NDArray[np.float64]:
    """Return the gradient of the mean cross-entropy of scale·⟨W·x / ‖W·x‖, class⟩ by W, image by image."""
    w, h = weight.numpy().astype(float), head.numpy().astype(float)
    total = np.zeros_like(w)
    for pixels, label in zip(raw.numpy().reshape(len(raw), -1) / 255.0, labels.tolist(), strict=True):
        features = w @ pixels
        size = np.linalg.norm(features)
        unit = features / size
        odds = np.exp(SCALE * h @ unit)
        error = odds / odds.sum() - np.eye(len(h))[label]
        by_unit = SCALE * h.T @ error
        total += np.outer((by_unit - unit * (unit @ by_unit)) / size, pixels)
    return total / len(raw)


def case(count: int = 21) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    draws = torch.Generator().manual_seed(0)
    weight = torch.randn(5, 12, generator=draws)
    head = functional.normalize(torch.randn(4, 5, generator=draws), dim=-1)
    raw = torch.randint(1, 256, (count, 3, 2, 2), generator=draws, dtype=torch.uint8)
    return weight, head, raw, torch.randint(0, 4, (count,), generator=draws)


def test_the_gradient_is_that_of_the_formula_whatever_the_batches() -> None:
    weight, head, raw, labels = case()
    model = Linear(weight).eval()
    expected = by_hand(weight, head, raw, labels)
    for batch_size in (5, 21):
        found = loss_gradient(model, head, images_of(raw, batch_size), labels)
        assert found.depth == ("visual.weight",)
        np.testing.assert_allclose(found.tensors["visual.weight"].numpy(), expected, rtol=1e-4, atol=1e-6)
    assert model.visual.weight.grad is None, "the model is shared with other stages"


def test_the_overlap_is_the_cosine_of_both_gradients_of_the_formula() -> None:
    weight, head, raw, labels = case()
    model, target = Linear(weight).eval(), torch.full_like(labels, 2)
    first, second = (loss_gradient(model, head, images_of(raw), own) for own in (labels, target))
    u, v = (by_hand(weight, head, raw, own).ravel() for own in (labels, target))
    assert overlap(first, second) == pytest.approx(u @ v / np.linalg.norm(u) / np.linalg.norm(v), abs=1e-5)
    assert overlap(first, first) == pytest.approx(1)


def test_the_other_of_two_opposite_classes_is_the_opposite_direction() -> None:
    weight, head, raw, _ = case(1)
    head = torch.stack([head[0], -head[0]])
    first, second = (loss_gradient(Linear(weight).eval(), head, images_of(raw), torch.tensor([own])) for own in (0, 1))
    assert overlap(first, second) == pytest.approx(-1, abs=1e-6)


def test_images_without_a_common_pixel_have_orthogonal_gradients() -> None:
    weight, head, raw, labels = case(2)
    raw[0, :, 0], raw[1, :, 1] = 0, 0
    first, second = (loss_gradient(Linear(weight).eval(), head, images_of(raw[[i]]), labels[[i]]) for i in range(2))
    assert overlap(first, second) == 0


def test_a_gradient_of_zero_has_no_direction() -> None:
    weight, head, raw, labels = case()
    nothing = loss_gradient(Linear(weight).eval(), head[:1], images_of(raw), torch.zeros_like(labels))
    assert overlap(nothing, loss_gradient(Linear(weight).eval(), head, images_of(raw), labels)) is None


def test_a_label_for_every_image() -> None:
    weight, head, raw, labels = case()
    with pytest.raises(DataError, match="21 images but 20 labels"):
        loss_gradient(Linear(weight).eval(), head, images_of(raw), labels[1:])


@pytest.mark.parametrize("name", BOTH)
def test_depth_goes_from_the_image_to_the_embedding(name: str) -> None:
    model = tiny(name).eval()
    preprocess = preprocessing(model)
    raw = pictures(model, 6)
    head = functional.normalize(torch.randn(3, 64, generator=torch.Generator().manual_seed(1)), dim=-1)
    images = NormalisedImages(raw, preprocess, "cpu", 4)
    first, second = (loss_gradient(model, head, images, torch.tensor(own)) for own in ([0, 1, 2] * 2, [1] * 6))
    assert set(first.depth) == set(image_weights(model)) == set(first.tensors)
    assert first.depth[0] == "visual.conv1.weight"
    last = {"visual.proj", "visual.attnpool.c_proj.bias", "visual.attnpool.c_proj.weight"}
    assert set(first.depth[-1:]) <= last
    quarters = overlap_by_depth(first, second)
    runs = np.array_split(np.array(first.depth), 4)
    for found, run in zip(quarters, runs, strict=True):
        u, v = (
            np.concatenate([each.tensors[n].numpy().astype(float).ravel() for n in run]) for each in (first, second)
        )
        assert found == pytest.approx(u @ v / np.linalg.norm(u) / np.linalg.norm(v))


def test_cosine_and_length_are_over_all_tensors_together() -> None:
    draws = np.random.default_rng(0)
    u, v = ({"a": draws.normal(size=(3, 4)), "b": draws.normal(size=5)} for _ in range(2))
    first, second = ({name: torch.from_numpy(x) for name, x in each.items()} for each in (u, v))
    flat = [np.concatenate([x.ravel() for x in each.values()]) for each in (u, v)]
    norms = [np.linalg.norm(x) for x in flat]
    assert cosine(first, second) == pytest.approx(flat[0] @ flat[1] / norms[0] / norms[1])
    assert length(first) == pytest.approx(norms[0])
    assert relative_length(first, second) == pytest.approx(norms[0] / norms[1])
    assert relative_length({**first, "text": torch.ones(9)}, second) == pytest.approx(norms[0] / norms[1])


@pytest.mark.parametrize(
    ("second", "expected"),
    [([2.0, 0.0], 1.0), ([-0.5, 0.0], -1.0), ([0.0, 3.0], 0.0), ([1.0, 1.0], 0.5**0.5), ([0.0, 0.0], None)],
)
def test_known_angles(second: list[float], expected: float | None) -> None:
    found = cosine({"w": torch.tensor([1.0, 0.0])}, {"w": torch.tensor(second)})
    assert found == (None if expected is None else pytest.approx(expected))


def test_no_length_is_relative_to_nothing() -> None:
    assert relative_length({"w": torch.ones(2)}, {"w": torch.zeros(2)}) is None
    assert relative_length({"w": torch.zeros(2)}, {"w": torch.ones(2)}) == 0


def test_a_quarter_without_a_gradient_has_no_direction() -> None:
    names = ("a", "b", "c", "d")
    found = Gradient({n: torch.ones(2) for n in names}, names)
    other = Gradient({n: torch.full((2,), 0.0 if n == "b" else -1.0) for n in names}, names)
    assert overlap_by_depth(found, other) == (pytest.approx(-1), None, pytest.approx(-1), pytest.approx(-1))
