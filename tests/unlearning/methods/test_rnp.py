"""RNP against masks that scale the weights by hand."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest
import torch
from torch import Tensor

from tbar_ray.seeding import torch_generator
from tbar_ray.training.shuffled import shuffled
from tbar_ray.unlearning.channels import channels_of
from tbar_ray.unlearning.labelled import EpochAccuracy
from tbar_ray.unlearning.methods import rnp
from tbar_ray.unlearning.methods.rnp import RNP
from tests.models.tiny import RESNET, VIT
from tests.unlearning.formulas import infected_of
from tests.unlearning.reference import (
    SGD,
    Change,
    constant_rate,
    cross_entropy,
    distance,
    image_names,
    log_chances,
    log_chances_of,
    pixels,
    trained,
)


def test_the_channels_that_do_not_recover_are_set_to_0() -> None:
    infected = infected_of(VIT)
    method = RNP(
        samples=24, learning_rate=0.05, stop_at=0.0, ascent_steps=2, mask_learning_rate=20.0, steps=3, batch_size=8,
        threshold=0.999, most=0.05,
    )  # fmt: skip
    found = method.find(infected)
    infected.restore()
    clean = infected.clean
    rows = torch.randperm(len(clean), generator=torch_generator(0, "rnp samples"))[:24].sort().values
    images, labels = clean.images[rows], clean.labels[rows]
    ascent, recovery = (
        shuffled(images, labels, None, batch_size=8, seed=0, purpose=f"rnp {phase}") for phase in ("ascent", "recovery")
    )

    def away() -> Tensor:
        batch = next(ascent)
        assert batch.labels is not None
        return -cross_entropy(log_chances(infected, batch.images), batch.labels)

    trained(infected, [away] * 2, image_names(infected), SGD(), 0.05, constant_rate, clip=False)
    layers = [name for name in image_names(infected) if name.endswith("c_fc.weight")]
    unlearned = {name: value.detach().clone() for name, value in infected.model.visual.named_parameters()}
    masks = {name: torch.ones(len(infected.start[name]), requires_grad=True) for name in layers}
    speed = {name: np.zeros(len(mask)) for name, mask in masks.items()}
    for _ in range(3):
        batch = next(recovery)
        assert batch.labels is not None
        weights = dict(unlearned)
        for name, mask in masks.items():
            bare = name.removeprefix("visual.")
            weights[bare] = unlearned[bare] * mask[:, None]
        embeddings = torch.func.functional_call(infected.model.visual, weights, (pixels(infected, batch.images),))
        unit = embeddings / embeddings.norm(dim=-1, keepdim=True)
        loss = 0.2 * cross_entropy(log_chances_of(infected, unit), batch.labels)
        for name, gradient in zip(masks, torch.autograd.grad(loss, list(masks.values())), strict=True):
            speed[name] = 0.9 * speed[name] + gradient.double().numpy()
            with torch.no_grad():
                masks[name].sub_(torch.from_numpy(20.0 * speed[name])).clamp_(0, 1)
    every = np.concatenate([mask.detach().numpy() for mask in masks.values()])
    lowest = np.zeros(len(every), bool)
    lowest[every.argsort(kind="stable")[: int(0.05 * len(every))]] = True
    lowest &= every <= 0.999
    expected: Change = {}
    for name, pruned in zip(layers, np.split(lowest, len(layers)), strict=True):
        expected[name] = -infected.start[name].double().numpy() * pruned[:, None]
    assert found.facts["pruned"] == lowest.sum() > 20
    assert distance(found.edit.vector, expected) < 0.05


@pytest.mark.parametrize(("stop_at", "steps"), [(0.999, 3), (0.2, 6), (0.0, 8)])
def test_the_ascent_ends_after_an_epoch_of_low_accuracy(stop_at: float, steps: int) -> None:
    """24 images in batches of 8; the answers to them are given, and 20, 4 and 2 of 24 are right."""
    accuracy = EpochAccuracy(24)
    right = iter([8, 7, 5, 2, 2, 0, 1, 1, 0])
    batches = shuffled(torch.arange(24), torch.zeros(24, dtype=torch.int64), None, batch_size=8, seed=0, purpose="x")
    taken = 0
    for batch in islice(accuracy.above(batches, stop_at), 8):
        assert batch.labels is not None
        answers = torch.ones(8, dtype=torch.int64)
        answers[: next(right)] = 0
        accuracy.add(torch.nn.functional.one_hot(answers, 60).float(), batch.labels)
        taken += 1
    assert taken == steps


def test_masks_of_a_resnet_scale_gains_and_leave_biases() -> None:
    infected = infected_of(RESNET)
    infected_visual = dict(infected.model.visual.named_modules())
    norm = infected_visual["bn1"]
    with torch.no_grad():
        norm.bias.add_(torch.linspace(-1, 1, len(norm.bias)))
    channels = channels_of(infected.model, "test")
    mask = torch.linspace(0, 1, len(norm.bias))
    inputs = torch.randn(2, len(norm.bias), 3, 3, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        plain = (inputs - norm.running_mean[:, None, None]) / torch.sqrt(norm.running_var + norm.eps)[:, None, None]
        expected = (mask * norm.weight)[:, None, None] * plain + norm.bias[:, None, None]
        with channels.masked({"bn1": mask}, biases=False):
            assert torch.allclose(norm(inputs), expected, atol=1e-5)
        channels.scale({"bn1": mask}, biases=False)
        assert torch.allclose(norm(inputs), expected, atol=1e-5)


def test_the_lowest_masks_are_pruned_up_to_a_share_even_if_many_are_equal() -> None:
    masks = {"a": torch.tensor([0.0, 0.5, 1.0, 0.0]), "b": torch.tensor([0.0, 0.9, 0.2, 0.0])}
    assert {k: v.tolist() for k, v in rnp.lowest(masks, 0.3, 1.0).items()} == {
        "a": [True, False, False, True],
        "b": [True, False, True, True],
    }
    few = rnp.lowest(masks, 0.3, 0.25)
    assert [few["a"].tolist(), few["b"].tolist()] == [[True, False, False, True], [False] * 4]
    assert not any(bool(rows.any()) for rows in rnp.lowest(masks, 0.3, 0.1).values())
