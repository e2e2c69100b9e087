import pytest
import torch
from torch import nn

from tbar_ray.models.factory import preprocessing
from tbar_ray.training.batch import Batch
from tbar_ray.training.gradient_cache import CachedContrastive
from tbar_ray.training.loop import train
from tbar_ray.training.objectives import Contrastive
from tbar_ray.training.optimisation import autocast
from tbar_ray.training.options import Optimisation
from tests.models.tiny import BOTH, RESNET, VIT, pictures, snapshot, tiny, tokenizer


def batch_of(model: nn.Module, size: int = 9) -> Batch:
    return Batch(pictures(model, size, seed=1), tokenizer()([f"a {number} cat" for number in range(size)]))


def precision() -> object:
    return autocast(torch.device("cpu"), "fp32")


@pytest.mark.parametrize("micro_batch", [2, 4, 8])
def test_loss_and_gradients_are_those_of_the_whole_batch(micro_batch: int) -> None:
    model = tiny(VIT)
    batch = batch_of(model)
    gradients = []
    losses = []
    for objective in (
        Contrastive(model, preprocessing(model)),
        CachedContrastive(model, preprocessing(model), micro_batch),
    ):
        model.zero_grad()
        losses.append(float(objective.backward(batch, precision)))  # type: ignore[arg-type]
        gradients.append({n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None})
    assert losses[1] == pytest.approx(losses[0], rel=1e-5)
    assert gradients[0].keys() == gradients[1].keys()
    assert "logit_scale" in gradients[0]
    for name, expected in gradients[0].items():
        assert torch.allclose(gradients[1][name], expected, rtol=1e-3, atol=1e-6), name


def test_no_more_than_a_micro_batch_is_embedded_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny(VIT)
    seen: list[int] = []
    encode = model.encode_image

    def watched(images: torch.Tensor, normalize: bool = False) -> torch.Tensor:
        seen.append(len(images))
        return encode(images, normalize)

    monkeypatch.setattr(model, "encode_image", watched)
    CachedContrastive(model, preprocessing(model), 4).backward(batch_of(model), precision)  # type: ignore[arg-type]
    assert seen == [3, 3, 3] * 2


def test_batch_norm_counts_every_micro_batch_once() -> None:
    model = tiny(RESNET).train()
    before = {key: value for key, value in snapshot(model).items() if "num_batches" in key}
    CachedContrastive(model, preprocessing(model), 3).backward(batch_of(model), precision)  # type: ignore[arg-type]
    after = snapshot(model)
    assert before
    assert all(after[key] == value + 3 for key, value in before.items())
    assert any("running_mean" in key and bool(value.any()) for key, value in after.items())


@pytest.mark.parametrize("architecture", BOTH)
def test_it_trains(architecture: str) -> None:
    model = tiny(architecture)
    record = train(
        CachedContrastive(model, preprocessing(model), 4),
        [batch_of(model)] * 12,
        12,
        Optimisation(learning_rate=2e-3),
    )
    assert record.losses[-1][1] < record.losses[0][1]


def test_a_micro_batch_of_one_is_refused() -> None:
    model = tiny()
    with pytest.raises(ValueError, match="micro_batch must be 2 or more"):
        CachedContrastive(model, preprocessing(model), 1)
