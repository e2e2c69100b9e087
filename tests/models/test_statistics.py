"""Running statistics estimated anew: exact, repeatable, put back, and what stale ones hide."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from tbar_ray.evaluation.normalised_images import statistics_batches
from tbar_ray.evaluation.zeroshot import normalise
from tbar_ray.models.factory import preprocessing
from tbar_ray.models.folding import folded
from tbar_ray.models.statistics import estimate_statistics, has_statistics, reestimate, with_statistics
from tests.models.tiny import RESNET, VIT, changed, pictures, same, snapshot, tiny


class OneNorm(nn.Module):
    """An image encoder that is one convolution and one normalisation."""

    def __init__(self, norm: nn.Module) -> None:
        super().__init__()
        self.visual = nn.Sequential(nn.Conv2d(3, 4, 3), norm)

    def encode_image(self, images: Tensor) -> Tensor:
        found: Tensor = self.visual(images)
        return found


def batches(model: nn.Module, count: int = 12, seed: int = 3) -> list[Tensor]:
    return list(statistics_batches(pictures(model, count, seed), preprocessing(model), "cpu"))


def noise(sizes: tuple[int, ...] = (5, 5, 5)) -> list[Tensor]:
    draw = torch.Generator().manual_seed(0)
    return [torch.randn(size, 3, 8, 8, generator=draw) for size in sizes]


@pytest.mark.parametrize("norm", [nn.BatchNorm2d(4), nn.InstanceNorm2d(4, track_running_stats=True)])
def test_statistics_are_the_averages_over_batches(norm: nn.Module) -> None:
    model = OneNorm(norm).eval()
    norm.running_mean.fill_(7)  # type: ignore[union-attr,operator]
    inputs = noise()
    found = estimate_statistics(model, inputs)
    with torch.no_grad():
        activations = [model.visual[0](batch) for batch in inputs]
    mean, variance = found["1"]
    assert torch.allclose(mean, torch.cat(activations).mean((0, 2, 3)), atol=1e-6)
    if isinstance(norm, nn.BatchNorm2d):
        within = torch.stack([a.transpose(0, 1).flatten(1).var(1) for a in activations]).mean(0)
    else:
        within = torch.stack([a.flatten(2).var(2).mean(0) for a in activations]).mean(0)
    assert torch.allclose(variance, within, atol=1e-6)


def test_no_layer_without_running_statistics_counts() -> None:
    assert has_statistics(tiny(RESNET))
    assert not has_statistics(tiny(VIT))
    assert not has_statistics(OneNorm(nn.InstanceNorm2d(4)))
    assert not has_statistics(OneNorm(nn.BatchNorm2d(4, track_running_stats=False)))


def test_estimating_leaves_the_model_as_it_was_also_after_an_error() -> None:
    model = tiny(RESNET).eval()
    model.visual.layer1.train()
    before, modes = snapshot(model), [module.training for module in model.modules()]
    momenta = [m.momentum for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
    estimate_statistics(model, batches(model))

    def broken() -> Iterator[Tensor]:
        yield batches(model)[0]
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        estimate_statistics(model, broken())
    assert same(snapshot(model), before)
    assert [module.training for module in model.modules()] == modes
    assert [m.momentum for m in model.modules() if isinstance(m, nn.BatchNorm2d)] == momenta
    assert all(parameter.grad is None for parameter in model.parameters())


def test_estimates_do_not_depend_on_the_statistics_before_and_are_repeatable() -> None:
    model = tiny(RESNET).eval()
    first = estimate_statistics(model, batches(model))
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert module.running_mean is not None
            module.running_mean.fill_(torch.nan)  # as after a move that went too far
    second = estimate_statistics(model, batches(model))
    assert first.keys() == second.keys()
    for name, (mean, variance) in first.items():
        assert torch.equal(mean, second[name][0])
        assert torch.equal(variance, second[name][1])


def test_only_normalisation_is_in_training_mode_while_estimating() -> None:
    model = OneNorm(nn.BatchNorm2d(4))
    model.visual.append(nn.Dropout(0.9))
    seen: list[list[bool]] = []
    model.visual[2].register_forward_hook(lambda *_: seen.append([module.training for module in model.visual]))
    estimate_statistics(model.train(), noise())
    assert seen == [[False, True, False]] * 3


def test_other_statistics_are_put_back_bit_for_bit() -> None:
    model = tiny(RESNET).eval()
    before, found = snapshot(model), estimate_statistics(model, batches(model))
    with with_statistics(model, found):
        inside = snapshot(model)
    assert {name.rsplit(".", 1)[1] for name in changed(before, inside)} == {"running_mean", "running_var"}
    assert len(changed(before, inside)) == 2 * len(found)
    assert same(snapshot(model), before)
    reestimate(model, batches(model))
    assert same(snapshot(model), inside)


def test_a_model_without_statistics_is_not_even_asked() -> None:
    model = tiny(VIT).eval()
    before = snapshot(model)

    def never() -> Iterator[Tensor]:
        raise AssertionError("asked for images")
        yield

    assert estimate_statistics(model, never()) == {}
    assert same(snapshot(model), before)


def test_answers_are_folded_with_the_new_statistics() -> None:
    model = tiny(RESNET).eval()
    images = normalise(pictures(model, 6, 1), preprocessing(model))

    def features() -> Tensor:
        with torch.no_grad():
            found: Tensor = model.encode_image(images, normalize=True)  # type: ignore[operator]
        return found

    stale = features()
    with with_statistics(model, estimate_statistics(model, batches(model))):
        expected = features()
        with folded(model):
            assert torch.allclose(features(), expected, atol=1e-5)
    assert not torch.allclose(stale, expected, atol=1e-3)
    assert torch.equal(features(), stale)


@pytest.mark.parametrize(
    ("count", "sizes"), [(1, [1]), (64, [64]), (65, [33, 32]), (130, [44, 44, 42]), (960, [64] * 15)]
)
def test_batches_are_of_nearly_equal_sizes(count: int, sizes: list[int]) -> None:
    images = torch.zeros(count, 3, 2, 2, dtype=torch.uint8)
    found = statistics_batches(images, preprocessing(tiny(VIT)), "cpu")
    assert [len(batch) for batch in found] == sizes
