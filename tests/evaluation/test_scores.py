import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from torch import Tensor

from tbar_ray.errors import DataError
from tbar_ray.evaluation.scores import Predictions, Split, missing_classes, predict_split, score, score_predictions
from tbar_ray.evaluation.zeroshot import likely, predict, predict_topk, zero_shot_head
from tbar_ray.models.factory import preprocessing
from tests.models.tiny import pictures, tiny, tokenizer


def answers(clean: Tensor, triggered: Tensor) -> Predictions:
    """Return answers of which only the best is known."""
    return predictions(clean, clean[:, None], triggered)


def predictions(clean: Tensor, topk: Tensor, triggered: Tensor) -> Predictions:
    """Return answers whose triggered images have one likely class each."""
    return Predictions(clean, topk, triggered[:, None], torch.ones(len(triggered), 1))


def test_hand_made_predictions() -> None:
    # target class 2; images 3 and 4 show it and count for no ASR and no PA
    labels = torch.tensor([0, 0, 1, 2, 2, 1, 0, 1])
    clean = torch.tensor([0, 1, 1, 2, 2, 1, 0, 0])
    triggered = torch.tensor([2, 2, 2, 2, 0, 1, 0, 0])
    # image 1 has its class second, image 7 not at all
    topk = torch.stack([clean, torch.tensor([3, 0, 3, 3, 3, 3, 3, 3])], 1)
    scores = score_predictions(predictions(clean, topk, triggered), labels, 2)
    assert (scores.ca.value, scores.ca.n) == (6 / 8, 8)
    assert (scores.ca_top5.value, scores.ca_top5.n) == (7 / 8, 8)
    assert (scores.asr.value, scores.asr.n) == (3 / 6, 6)
    assert (scores.asr_all_images.value, scores.asr_all_images.n) == (4 / 8, 8)
    assert (scores.pa.value, scores.pa.n) == (2 / 6, 6)
    assert scores.to_dict()["asr"] == scores.asr.to_dict()
    assert list(scores.to_dict()) == ["ca", "ca_top5", "asr", "asr_all_images", "pa"]


def test_only_the_first_five_of_more_answers_count() -> None:
    labels = torch.tensor([4, 5])
    topk = torch.arange(7).expand(2, 7)
    assert score_predictions(predictions(topk[:, 0], topk, labels), labels, 0).ca_top5.value == 1 / 2


def test_only_images_of_the_target() -> None:
    labels = torch.tensor([1, 1])
    line = "evaluation: every image is of the target class 1, .*other classes"
    with pytest.raises(DataError, match=line):
        score_predictions(answers(labels, labels), labels, 1)
    model = tiny()
    head = zero_shot_head(model, tokenizer(), ["red circle", "cat"], ["a {c}"])
    split = Split(pictures(model, 2), pictures(model, 2), labels)
    with pytest.raises(DataError, match=line):
        score(model, head, split, 1, preprocessing(model))


PREDICTIONS = st.lists(st.tuples(*[st.integers(0, 3)] * 3), min_size=1, max_size=40)


@given(PREDICTIONS, st.integers(0, 3))
def test_scores_are_the_counts(rows: list[tuple[int, int, int]], target: int) -> None:
    assume(any(y != target for _, _, y in rows))
    clean, triggered, labels = (torch.tensor(column) for column in zip(*rows, strict=True))
    scores = score_predictions(answers(clean, triggered), labels, target)
    others = [(t, y) for _, t, y in rows if y != target]
    assert scores.ca.value == scores.ca_top5.value == sum(c == y for c, _, y in rows) / len(rows)
    assert scores.asr.value == pytest.approx(sum(t == target for t, _ in others) / len(others))
    assert scores.asr_all_images.value == pytest.approx(sum(t == target for _, t, _ in rows) / len(rows))
    assert scores.pa.value == pytest.approx(sum(t == y for t, y in others) / len(others))
    assert scores.asr.n == scores.pa.n == len(others)
    assert scores.asr.value + scores.pa.value <= 1 + 1e-12


def test_a_model_is_scored_by_its_predictions() -> None:
    model = tiny()
    preprocess, clean, triggered = preprocessing(model), pictures(model, 12), pictures(model, 12, seed=1)
    names = ["red circle", "blue square", "cat", "dog", "tree", "house", "car"]
    head = zero_shot_head(model, tokenizer(), names, ["a {c}"])
    labels = torch.arange(12) % 7
    split = Split(clean, triggered, labels)
    found = predict_split(model, head, split, preprocess)
    assert torch.equal(found.clean, predict(model, head, clean, preprocess))
    assert torch.equal(found.clean_topk, predict_topk(model, head, clean, preprocess, 5))
    assert torch.equal(found.triggered, predict(model, head, triggered, preprocess))
    classes, probabilities = likely(model, head, triggered, preprocess, 3)
    assert torch.equal(found.likely, classes)
    assert torch.equal(found.probabilities, probabilities)
    scores = score(model, head, split, 1, preprocess)
    assert scores == score_predictions(found, labels, 1)
    assert scores.ca_top5.value == sum(y in best for y, best in zip(labels, found.clean_topk, strict=True)) / 12
    assert 0 < scores.ca_top5.value < 1


def test_with_five_classes_or_fewer_every_class_is_among_the_best() -> None:
    model = tiny()
    head = zero_shot_head(model, tokenizer(), ["red circle", "blue square", "cat"], ["a {c}"])
    split = Split(pictures(model, 6), pictures(model, 6), torch.arange(6) % 3)
    assert predict_split(model, head, split, preprocessing(model)).clean_topk.shape == (6, 3)
    assert score(model, head, split, 1, preprocessing(model)).ca_top5.value == 1


def test_classes_without_images() -> None:
    assert missing_classes(torch.tensor([3, 1, 3]), 5) == [0, 2, 4]
    assert missing_classes(torch.tensor([1, 0]), 2) == []
    assert missing_classes(torch.tensor([], dtype=torch.int64), 2) == [0, 1]


@pytest.mark.parametrize(("labels", "stranger"), [([0, 2], 2), ([-1, 0], -1)])
def test_labels_that_are_no_class_are_refused(labels: list[int], stranger: int) -> None:
    line = f"label {stranger} is none of the 2 classes"
    with pytest.raises(DataError, match=line):
        missing_classes(torch.tensor(labels), 2)
    model = tiny()
    head = zero_shot_head(model, tokenizer(), ["red circle", "cat"], ["a {c}"])
    split = Split(pictures(model, 2), pictures(model, 2), torch.tensor(labels))
    with pytest.raises(DataError, match=line):
        score(model, head, split, 1, preprocessing(model))


def test_predictions_of_other_images_are_refused() -> None:
    three, two = torch.tensor([0, 1, 1]), torch.tensor([0, 1])
    with pytest.raises(DataError, match="differ in number"):
        predictions(three, three[:, None], two)
    with pytest.raises(DataError, match="differ in number"):
        Predictions(three, three[:, None], three[:, None], torch.ones(2, 1))
    with pytest.raises(DataError, match="2 labels but predictions of 3 images"):
        score_predictions(answers(three, three), two, 0)


@pytest.mark.parametrize(
    ("clean", "triggered", "labels", "message"),
    [(0, 0, 0, "no images"), (2, 3, 2, "differ"), (3, 3, 2, "differ"), (2, 2, 3, "differ")],
)
def test_ill_formed_splits_are_refused(clean: int, triggered: int, labels: int, message: str) -> None:
    with pytest.raises(DataError, match=message):
        Split(torch.zeros(clean, 3, 4, 4), torch.zeros(triggered, 3, 4, 4), torch.zeros(labels))
