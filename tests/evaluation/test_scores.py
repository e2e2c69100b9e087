import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tbar_ray.errors import DataError
from tbar_ray.evaluation.scores import Split, score, score_predictions
from tbar_ray.evaluation.zeroshot import predict, zero_shot_head
from tbar_ray.models.factory import preprocessing
from tests.models.tiny import pictures, tiny, tokenizer


def test_hand_made_predictions() -> None:
    # target class 2; images 3 and 4 show it and count for no ASR and no PA
    labels = torch.tensor([0, 0, 1, 2, 2, 1, 0, 1])
    clean = torch.tensor([0, 1, 1, 2, 2, 1, 0, 0])
    triggered = torch.tensor([2, 2, 2, 2, 0, 1, 0, 0])
    scores = score_predictions(clean, triggered, labels, 2)
    assert (scores.ca.value, scores.ca.n) == (6 / 8, 8)
    assert (scores.asr.value, scores.asr.n) == (3 / 6, 6)
    assert (scores.asr_all_images.value, scores.asr_all_images.n) == (4 / 8, 8)
    assert (scores.pa.value, scores.pa.n) == (2 / 6, 6)
    assert scores.to_dict()["asr"] == scores.asr.to_dict()
    assert set(scores.to_dict()) == {"ca", "asr", "asr_all_images", "pa"}


def test_only_images_of_the_target() -> None:
    labels = torch.tensor([1, 1])
    scores = score_predictions(labels, labels, labels, 1)
    assert (scores.asr.n, scores.pa.n) == (0, 0)
    assert (scores.asr.low, scores.asr.high) == (0, 1)
    assert (scores.ca.value, scores.asr_all_images.value) == (1, 1)


PREDICTIONS = st.lists(st.tuples(*[st.integers(0, 3)] * 3), min_size=1, max_size=40)


@given(PREDICTIONS, st.integers(0, 3))
def test_scores_are_the_counts(rows: list[tuple[int, int, int]], target: int) -> None:
    clean, triggered, labels = (torch.tensor(column) for column in zip(*rows, strict=True))
    scores = score_predictions(clean, triggered, labels, target)
    others = [(t, y) for _, t, y in rows if y != target]
    assert scores.ca.value == sum(c == y for c, _, y in rows) / len(rows)
    assert scores.asr.value * max(1, len(others)) == pytest.approx(sum(t == target for t, _ in others))
    assert scores.pa.value * max(1, len(others)) == pytest.approx(sum(t == y for t, y in others))
    assert scores.asr.n == scores.pa.n == len(others)
    assert scores.asr.value + scores.pa.value <= 1 + 1e-12


def test_a_model_is_scored_by_its_predictions() -> None:
    model = tiny()
    wants, clean, triggered = preprocessing(model), pictures(model, 12), pictures(model, 12, seed=1)
    head = zero_shot_head(model, tokenizer(), ["red circle", "blue square", "cat"], ["a {c}"])
    labels = torch.arange(12) % 3
    expected = score_predictions(predict(model, head, clean, wants), predict(model, head, triggered, wants), labels, 1)
    assert score(model, head, Split(clean, triggered, labels), 1, wants) == expected


@pytest.mark.parametrize(
    ("clean", "triggered", "labels", "message"),
    [(0, 0, 0, "no images"), (2, 3, 2, "differ"), (3, 3, 2, "differ"), (2, 2, 3, "differ")],
)
def test_ill_formed_splits_are_refused(clean: int, triggered: int, labels: int, message: str) -> None:
    with pytest.raises(DataError, match=message):
        Split(torch.zeros(clean, 3, 4, 4), torch.zeros(triggered, 3, 4, 4), torch.zeros(labels))
