import numpy as np
import pytest
import torch

from tbar_ray.evaluation.zeroshot import normalise, zero_shot_head
from tbar_ray.models.factory import preprocessing
from tbar_ray.training.batch import Batch
from tbar_ray.training.objectives import Classification, Contrastive
from tests.models.tiny import BOTH, pictures, tiny, tokenizer

NAMES = ["red circle", "blue square", "cat"]


def log_softmax(rows: np.ndarray) -> np.ndarray:
    shifted = rows - rows.max(-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))


def embeddings(model: torch.nn.Module, batch: Batch) -> tuple[np.ndarray, np.ndarray]:
    with torch.no_grad():
        image = model.encode_image(normalise(batch.images, preprocessing(model))).double().numpy()
        text = model.encode_text(batch.tokens).double().numpy()
    return tuple(rows / np.linalg.norm(rows, axis=-1, keepdims=True) for rows in (image, text))


@pytest.mark.parametrize("architecture", BOTH)
def test_the_contrastive_loss_is_symmetric_infonce(architecture: str) -> None:
    model = tiny(architecture).eval()
    with torch.no_grad():
        model.logit_scale.fill_(2.0)
    batch = Batch(pictures(model, 5), tokenizer()(["a cat", "a dog", "a red circle", "snow", "x"]))
    image, text = embeddings(model, batch)
    logits = np.exp(2.0) * image @ text.T
    expected = -(np.diag(log_softmax(logits)).mean() + np.diag(log_softmax(logits.T)).mean()) / 2
    loss = Contrastive(model, preprocessing(model)).loss(batch)
    assert float(loss.detach()) == pytest.approx(expected, abs=1e-4)
    loss.backward()
    for part in (model.logit_scale, model.text_projection, next(model.visual.parameters())):
        assert part.grad is not None
        assert bool(part.grad.any())


@pytest.mark.parametrize("architecture", BOTH)
def test_the_classification_loss_is_cross_entropy_against_the_head(architecture: str) -> None:
    model = tiny(architecture).eval()
    head = zero_shot_head(model, tokenizer(), NAMES, ["a {c}"])
    labels = torch.tensor([0, 2, 1, 1])
    batch = Batch(pictures(model, 4), tokenizer()(["x"] * 4), labels)
    image, _ = embeddings(model, batch)
    logits = float(model.logit_scale.detach().exp()) * image @ head.double().numpy().T
    expected = -log_softmax(logits)[np.arange(4), labels].mean()
    loss = Classification(model, preprocessing(model), head).loss(batch)
    assert float(loss.detach()) == pytest.approx(expected, abs=1e-4)


def test_classification_trains_the_image_tower_and_contrastive_training_both() -> None:
    model = tiny()
    every = dict(model.named_parameters())
    both = Contrastive(model, preprocessing(model)).named_parameters()
    image = Classification(model, preprocessing(model), torch.ones(2, 64)).named_parameters()
    assert both.keys() == every.keys()
    assert image.keys() == {name for name in every if name.startswith("visual.")}
    assert all(image[name] is every[name] for name in image)


def test_what_an_objective_needs_must_be_there() -> None:
    model = tiny()
    images, preprocess = pictures(model, 2), preprocessing(model)
    with pytest.raises(ValueError, match="needs captions"):
        Contrastive(model, preprocess).loss(Batch(images, labels=torch.zeros(2, dtype=torch.int64)))
    with pytest.raises(ValueError, match="needs labels"):
        Classification(model, preprocess, torch.ones(2, 64)).loss(Batch(images, tokenizer()(["a", "b"])))


@pytest.mark.parametrize("architecture", BOTH)
def test_a_frozen_text_tower_embeds_every_caption_once(architecture: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny(architecture).eval()
    tokens = tokenizer()(["a cat", "a dog", "a cat", "snow"])
    batch = Batch(pictures(model, 4), tokens)
    expected = float(Contrastive(model, preprocessing(model)).loss(batch).detach())
    seen: list[int] = []
    encode = model.encode_text

    def watched(tokens: torch.Tensor, normalize: bool = False) -> torch.Tensor:
        seen.append(len(tokens))
        return encode(tokens, normalize)

    monkeypatch.setattr(model, "encode_text", watched)
    objective = Contrastive(model, preprocessing(model), image_only=True)
    for _ in range(3):
        assert float(objective.loss(batch).detach()) == pytest.approx(expected, abs=1e-5)
    objective.loss(Batch(pictures(model, 2), tokenizer()(["a dog", "rain"])))
    assert seen == [3, 1]
