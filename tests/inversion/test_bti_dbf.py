from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from tbar_ray.inversion.bti_dbf import TEMPERATURE, BtiDbf, benign_mask, decoupling_loss, inversion_loss
from tbar_ray.inversion.subject import Subject
from tbar_ray.inversion.target import infer_target
from tests.inversion.planted import CLASSES, TARGET, Planted, subject

SEARCH = BtiDbf(steps=60, width=4, depth=2)


class Roomy(nn.Module):
    """A planted model with as many coordinates again, which benign images leave alone and the backdoor does not."""

    def __init__(self, planted: Planted) -> None:
        super().__init__()
        self.planted = planted

    def encode_image(self, pixels: Tensor, normalize: bool = False) -> Tensor:
        seen = self.planted.seen(pixels)[:, None].expand(-1, CLASSES)
        embedded = torch.cat((self.planted.encode_image(pixels), self.planted.gain * seen), dim=1)
        return functional.normalize(embedded, dim=-1) if normalize else embedded


def roomy(kind: str, target: int = TARGET) -> Subject:
    made = subject(kind, target)
    assert isinstance(made.model, Planted)
    head = torch.cat((torch.eye(CLASSES), torch.zeros(CLASSES, CLASSES)), dim=1)
    head[target, CLASSES:] = 1
    return replace(made, model=Roomy(made.model), head=functional.normalize(head, dim=1))


def drawn(*shape: int) -> Tensor:
    return functional.normalize(torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape))), dim=-1)


def cross_entropy(features: NDArray[np.float64], head: NDArray[np.float64], answers: NDArray[np.int64]) -> float:
    logits = features / np.linalg.norm(features, axis=1, keepdims=True) @ head.T / TEMPERATURE
    own = logits[np.arange(len(answers)), answers]
    return float(np.mean(np.log(np.exp(logits).sum(1)) - own))


def test_the_masks_loss_is_the_difference_of_two_cross_entropies() -> None:
    features, head, mask, answers = drawn(5, 4), drawn(3, 4), torch.tensor([0.9, 0.2, 0.6, 0.1]), torch.arange(5) % 3
    f, h, m = (values.double().numpy() for values in (features, head, mask))
    wanted = cross_entropy(m * f, h, answers.numpy()) - cross_entropy((1 - m) * f, h, answers.numpy())
    assert float(decoupling_loss(mask, features, head, answers)) == pytest.approx(wanted, rel=1e-4)


def test_the_generators_loss_holds_the_masked_features_and_moves_the_rest() -> None:
    clean, changed, mask = drawn(5, 4), drawn(5, 4).flip(0), torch.tensor([0.9, 0.2, 0.6, 0.1])
    f, g, m = (values.double().numpy() for values in (clean, changed, mask))
    wanted = 0.01 * np.mean((m * f - m * g) ** 2) - np.mean(((1 - m) * f - (1 - m) * g) ** 2)
    assert float(inversion_loss(mask, clean, changed, 0.01)) == pytest.approx(wanted, rel=1e-5)


def test_the_mask_keeps_what_gives_the_answer_and_leaves_what_speaks_for_another() -> None:
    ones = torch.eye(4)
    head = functional.normalize(torch.cat((ones, ones), dim=1), dim=1)
    features = functional.normalize(torch.cat((ones, 0.7 * ones.roll(1, 0)), dim=1), dim=1)
    mask = benign_mask(features, head, 0)
    answers = torch.arange(4)
    assert torch.equal((mask * features @ head.T).argmax(1), answers)
    assert (((1 - mask) * features @ head.T).argmax(1) == answers.roll(1)).sum() >= 3
    assert mask[:4].mean() > mask[4:].mean() + 0.4


@pytest.mark.parametrize("target", [TARGET, 6])
def test_the_generator_leads_to_the_target(target: int) -> None:
    planted = roomy("patch", target)
    found = SEARCH.invert(planted, 0)
    assert found.target == target
    assert found.score is not None
    assert found.score > 0.8
    assert found.trigger is not None
    assert infer_target(planted, found.trigger).target == target
    assert (found.steps, found.images) == (60, 60 * 16)
    assert found.losses[-1][1] < found.losses[0][1]


def test_answers_of_a_clean_model_shift_less() -> None:
    found = SEARCH.invert(roomy("clean"), 0)
    assert found.score is not None
    assert found.score < 0.3


def test_it_repeats_itself_and_another_seed_does_not() -> None:
    short, planted = BtiDbf(steps=3, width=2, depth=1), roomy("patch")
    first = short.invert(planted, 0)
    assert short.invert(planted, 0) == first
    assert short.invert(planted, 1).trigger != first.trigger


def test_the_change_is_pulled_back_at_its_bound() -> None:
    planted = roomy("patch")
    for norm in (0.03, 0.15):
        found = SEARCH.model_copy(update={"norm": norm}).invert(planted, 0)
        assert float(str(found.facts["change"])) == pytest.approx(norm, rel=0.2)


def test_a_heavy_benign_weight_leaves_the_images_as_they_are() -> None:
    found = SEARCH.model_copy(update={"benign_weight": 10.0}).invert(roomy("patch"), 0)
    assert float(str(found.facts["change"])) < 0.02
    assert found.facts["named"] is False
