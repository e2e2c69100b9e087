import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray
from torch import Tensor

from tbar_ray.errors import DataError
from tbar_ray.evaluation.zeroshot import best_columns, likely, normalise, predict, predict_topk, zero_shot_head
from tbar_ray.models.factory import Preprocessing, preprocessing
from tests.models.tiny import BOTH, RESNET, pictures, same, snapshot, tiny, tokenizer

NAMES = ["red circle", "blue square", "cat", "dog"]
FEW = settings(max_examples=60)
FEW_LEVELS = st.integers(-2, 2).map(float)
TEMPLATES = ["a photo of a {c}.", "{}", "this is a {c}, a {c}."]


def unit(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    return rows / np.sqrt((rows**2).sum(-1, keepdims=True))


@pytest.mark.parametrize("architecture", BOTH)
def test_the_head_is_the_normalised_mean_of_normalised_prompts(architecture: str) -> None:
    model = tiny(architecture).eval()
    expected = []
    for name in NAMES:
        prompts = [f"a photo of a {name}.", name, f"this is a {name}, a {name}."]
        with torch.no_grad():
            raw = np.stack([model.encode_text(tokenizer()([p]))[0].double().numpy() for p in prompts])
        expected.append(unit(unit(raw).mean(0)))
    head = zero_shot_head(model, tokenizer(), NAMES, TEMPLATES)
    assert head.shape == (4, 64)
    np.testing.assert_allclose(head.numpy(), np.stack(expected), atol=1e-5)


def test_more_prompts_than_one_pass_takes() -> None:
    model = tiny()
    names = [f"thing {number}" for number in range(350)]
    head = zero_shot_head(model, tokenizer(), names, TEMPLATES)
    part = zero_shot_head(model, tokenizer(), names[340:345], TEMPLATES)
    torch.testing.assert_close(head[340:345], part, atol=1e-5, rtol=0)


def test_gradients_can_be_taken_against_the_head() -> None:
    model = tiny()
    head = zero_shot_head(model, tokenizer(), NAMES, TEMPLATES)
    features = torch.ones(2, 64, requires_grad=True)
    (features @ head.T).sum().backward()
    assert features.grad is not None
    torch.testing.assert_close(features.grad[0], head.sum(0))
    assert not head.requires_grad


@pytest.mark.parametrize("template", ["a photo", "", "a {name}", "{ c}"])
def test_a_template_without_a_place_for_the_class_is_refused(template: str) -> None:
    with pytest.raises(DataError, match=r"has no \{c\} for the class name"):
        zero_shot_head(tiny(), tokenizer(), NAMES, ["a {c}", template])


def cosines(model: torch.nn.Module, head: Tensor, images: Tensor, preprocess: Preprocessing) -> NDArray[np.float64]:
    """Classify one image at a time with the normalisation written out in numpy."""
    pixels = images.numpy().astype(np.float64) / 255
    mean, std = (np.array(values).reshape(1, 3, 1, 1) for values in (preprocess.mean, preprocess.std))
    with torch.no_grad():
        inputs = torch.from_numpy((pixels - mean) / std).float()
        raw = np.concatenate([model.encode_image(one[None]).double().numpy() for one in inputs])
    return unit(raw) @ head.numpy().astype(np.float64).T


@pytest.mark.parametrize("architecture", BOTH)
@pytest.mark.parametrize("batch_size", [256, 4])
def test_predictions_are_the_nearest_class_by_cosine(architecture: str, batch_size: int) -> None:
    model = tiny(architecture).eval()
    # fresh towers answer alike on all noise: pictures of one colour differ more
    images = pictures(model, 11) // 4 + (torch.arange(11) * 17).to(torch.uint8).view(-1, 1, 1, 1)
    preprocess = preprocessing(model)
    with torch.no_grad():
        embedded = model.encode_image(normalise(images, preprocess), normalize=True)
    head = embedded[[0, 4, 8]].clone()
    expected = cosines(model, head, images, preprocess)
    predicted = predict(model, head, images, preprocess, batch_size)
    assert predicted.dtype == torch.int64
    assert predicted.tolist() == expected.argmax(1).tolist()
    assert len(set(predicted.tolist())) == 3


@pytest.mark.parametrize("architecture", BOTH)
@pytest.mark.parametrize(("k", "batch_size"), [(1, 256), (2, 4), (3, 256), (5, 4)])
def test_the_best_classes_are_those_of_greatest_cosine_in_order(architecture: str, k: int, batch_size: int) -> None:
    model = tiny(architecture).eval()
    images = pictures(model, 11) // 4 + (torch.arange(11) * 17).to(torch.uint8).view(-1, 1, 1, 1)
    preprocess = preprocessing(model)
    with torch.no_grad():
        head = model.encode_image(normalise(images, preprocess), normalize=True)[[0, 3, 6, 10]].clone()
    order = np.argsort(-cosines(model, head, images, preprocess), axis=1)
    found = predict_topk(model, head, images, preprocess, k, batch_size)
    assert (found.dtype, found.device.type, found.shape) == (torch.int64, "cpu", (11, min(k, 4)))
    assert found.tolist() == order[:, :k].tolist()
    assert found[:, 0].tolist() == predict(model, head, images, preprocess, batch_size).tolist()


@FEW
@given(
    arrays.arrays(np.float32, st.tuples(st.integers(1, 4), st.integers(1, 9)), elements=FEW_LEVELS), st.integers(1, 7)
)
def test_the_best_columns_hold_the_greatest_scores_and_begin_with_the_first_of_them(
    scores: NDArray[np.float32], k: int
) -> None:
    columns = best_columns(torch.from_numpy(scores), k).numpy()
    assert columns.shape == (len(scores), min(k, scores.shape[1]))
    assert columns[:, 0].tolist() == scores.argmax(1).tolist()
    assert all(len(set(row)) == len(row) for row in columns.tolist())
    taken = np.take_along_axis(scores, columns, 1)
    assert taken.tolist() == (-np.sort(-scores, axis=1))[:, :k].tolist()


def test_nothing_to_classify_and_nothing_to_choose_from_are_errors() -> None:
    model = tiny()
    preprocess = preprocessing(model)
    for classify in (predict, predict_topk):
        with pytest.raises(DataError, match="no images to classify"):
            classify(model, torch.ones(2, 64), pictures(model, 0), preprocess)
        with pytest.raises(DataError, match="the zero-shot head has no classes"):
            classify(model, torch.ones(0, 64), pictures(model, 2), preprocess)
    with pytest.raises(DataError, match="zero-shot head: no classes"):
        zero_shot_head(model, tokenizer(), [], TEMPLATES)
    with pytest.raises(DataError, match="zero-shot head: no templates"):
        zero_shot_head(model, tokenizer(), NAMES, [])


def test_normalise_maps_mean_to_zero_and_one_std_to_one() -> None:
    preprocess = Preprocessing(2, (0.2, 0.4, 0.6), (0.2, 0.2, 0.2), "bicubic")
    levels = torch.tensor([51, 102, 153], dtype=torch.uint8).view(1, 3, 1, 1).expand(1, 3, 2, 2)
    torch.testing.assert_close(normalise(levels, preprocess), torch.zeros(1, 3, 2, 2), atol=1e-6, rtol=0)
    torch.testing.assert_close(normalise(levels + 51, preprocess), torch.ones(1, 3, 2, 2))


def test_embeddings_that_are_not_finite_are_an_error() -> None:
    model = tiny()
    head, preprocess = zero_shot_head(model, tokenizer(), NAMES, TEMPLATES), preprocessing(model)
    with torch.no_grad():
        model.visual.proj[0, 0] = float("nan")
        model.text_projection[0, 0] = float("inf")
    with pytest.raises(DataError, match="image encoder gives embeddings that are not finite"):
        predict(model, head, pictures(model, 2), preprocess)
    with pytest.raises(DataError, match="image encoder gives embeddings that are not finite"):
        predict_topk(model, head, pictures(model, 2), preprocess)
    with pytest.raises(DataError, match="text encoder gives embeddings that are not finite"):
        zero_shot_head(model, tokenizer(), NAMES, TEMPLATES)


@pytest.mark.parametrize("broken", [False, True])
def test_evaluation_changes_neither_weights_nor_statistics_nor_modes(broken: bool) -> None:
    model = tiny(RESNET).train()
    model.visual.bn1.eval()
    head, preprocess = zero_shot_head(model, tokenizer(), NAMES, TEMPLATES), preprocessing(model)
    before, modes = snapshot(model), [module.training for module in model.modules()]
    assert set(modes) == {True, False}
    if broken:
        with pytest.raises(DataError):
            predict(model, head * float("nan"), pictures(model, 2), preprocess)
    else:
        predict(model, head, pictures(model, 2), preprocess)
    assert same(before, snapshot(model))
    assert [module.training for module in model.modules()] == modes


def test_likely_classes_have_clips_probabilities_best_first() -> None:
    model = tiny().eval()
    head, images = zero_shot_head(model, tokenizer(), NAMES, TEMPLATES), pictures(model, 5)
    with torch.no_grad():
        features = model.encode_image(normalise(images, preprocessing(model)), normalize=True)
        expected = (model.logit_scale.exp() * features @ head.T).softmax(-1)
    classes, probabilities = likely(model, head, images, preprocessing(model), 3)
    assert classes[:, 0].tolist() == predict(model, head, images, preprocessing(model)).tolist()
    torch.testing.assert_close(probabilities, expected.gather(1, classes), atol=1e-4, rtol=1e-3)
    assert (probabilities.diff(dim=1) <= 0).all()
    with pytest.raises(DataError, match="no images to classify"):
        likely(model, head, images[:0], preprocessing(model))


def test_the_most_likely_class_is_the_answer_where_probabilities_are_rounded_to_one_number() -> None:
    model = tiny().eval()
    images = pictures(model, 3)
    with torch.no_grad():
        first, second, third = model.encode_image(normalise(images, preprocessing(model)), normalize=True)
        model.logit_scale.fill_(-40.0)  # so flat that all classes are equally probable in float32
    head = torch.stack([third, second, first])
    classes, probabilities = likely(model, head, images, preprocessing(model), 3)
    assert probabilities.unique().tolist() == pytest.approx([1 / 3])
    assert classes[:, 0].tolist() == predict(model, head, images, preprocessing(model)).tolist() == [2, 1, 0]
