from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest
from torch import Tensor, nn

from tbar_ray.evaluation import zeroshot
from tbar_ray.evaluation.scores import Split, score
from tbar_ray.evaluation.sequential_test import Counting, Question, sequential_test
from tbar_ray.evaluation.zeroshot import predict, predict_reduced
from tbar_ray.models.factory import preprocessing
from tests.inversion.encoders import CLASSES, PREPROCESSING, Encoder, images
from tests.models.tiny import BOTH, pictures, tiny


@given(st.lists(st.booleans(), min_size=1, max_size=400), st.integers(1, 60), st.randoms(use_true_random=False))
def test_the_share_of_all_images_lies_in_every_interval(population: list[bool], step: int, draw: object) -> None:
    draw.shuffle(population)  # type: ignore[attr-defined]
    share = sum(population) / len(population)
    counting = Counting(len(population), looks=-(-len(population) // step))
    widths = []
    for start in range(0, len(population), step):
        part = population[start : start + step]
        counting.add(sum(part), len(part))
        low, high = counting.interval
        assert low - 1e-12 <= share <= high + 1e-12
        widths.append(high - low)
    assert counting.interval == (share, share)
    assert counting.at_most(share) is True
    assert counting.at_least(share) is True
    assert counting.rate.value == share


@pytest.mark.parametrize("hits", [0, 3, 60, 100])
@pytest.mark.parametrize("looks", [1, 40])
def test_an_interval_is_wrong_with_a_probability_of_one_in_a_million_over_all_looks(hits: int, looks: int) -> None:
    counting = Counting(1_000_000, looks)
    counting.add(hits, 100)
    exact = binomtest(hits, 100).proportion_ci(1 - 1e-6 / looks, method="exact")  # Clopper and Pearson's
    assert counting.interval == pytest.approx((exact.low, exact.high), abs=2e-4)  # what is left allows as much


def test_a_share_is_known_before_all_images_are_counted() -> None:
    counting = Counting(100_000, looks=400)
    assert counting.at_most(0.05) is None
    counting.add(250, 256)
    assert counting.at_most(0.05) is False
    assert counting.at_least(0.5) is True
    assert counting.at_least(0.97) is None
    rest = Counting(1000, looks=4)
    rest.add(0, 960)  # what is left cannot lift it above 4 %
    assert rest.at_most(0.04) is True


@pytest.fixture(scope="module")
def setting() -> tuple[nn.Module, Tensor, Split]:
    """An encoder and images whose labels are mostly its own answers: CA near 0.8, ASR near 0.3."""
    model, head = Encoder(), torch.eye(CLASSES)[:3]
    model.register_buffer("logit_scale", torch.zeros(()))
    clean, triggered = images(320).split(160)
    draw = torch.Generator().manual_seed(0)
    answers = predict(model, head, clean, PREPROCESSING)
    labels = torch.where(torch.rand(160, generator=draw) < 0.8, answers, (answers + 1) % 3)
    return model, head, Split(clean, triggered, labels)


@pytest.mark.parametrize("target", [0, 2])
def test_a_sequential_test_says_what_the_whole_evaluation_says(
    setting: tuple[nn.Module, Tensor, Split], target: int
) -> None:
    model, head, split = setting
    whole = score(model, head, split, target, PREPROCESSING)
    assert 0.7 < whole.ca.value < 0.9
    assert 0.2 < whole.asr.value < 0.5
    looked = []
    for least_ca in (0.0, 0.5, whole.ca.value, whole.ca.value + 1e-9, 0.95):
        for most_asr in (0.0, whole.asr.value - 1e-9, whole.asr.value, 0.6):
            question = Question(least_ca, most_asr)
            found, again = (
                sequential_test(0.5, model, head, split, target, PREPROCESSING, question, 16, reduced)
                for reduced in (False, True)
            )
            assert found.answer == (whole.asr.value <= most_asr or whole.ca.value < least_ca)
            assert found.ca.n <= whole.ca.n
            assert found.asr.n <= whole.asr.n
            assert again == found
            if found.ca.n == whole.ca.n:
                assert found.ca == whole.ca
            looked.append(found.ca.n + found.asr.n)
    assert min(looked) < 100
    assert found.alpha == 0.5


@pytest.mark.parametrize("architecture", BOTH)
def test_reduced_precision_gives_the_same_answers(architecture: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny(architecture)
    draw = torch.Generator().manual_seed(0)
    head = torch.nn.functional.normalize(torch.randn(4, 64, generator=draw), dim=-1)
    head = head[:, : int(model.text_projection.shape[1])]  # type: ignore[union-attr,index]
    shown = pictures(model, 40, seed=0)
    expected = predict(model, head, shown, preprocessing(model))
    assert torch.equal(predict_reduced(model, head, shown, preprocessing(model), 16), expected)
    monkeypatch.setattr(zeroshot, "MARGIN", 3.0)  # every image in doubt
    assert torch.equal(predict_reduced(model, head, shown, preprocessing(model), 16), expected)
