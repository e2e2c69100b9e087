"""RNP against masks that scale the weights by hand."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from tbar_ray.seeding import torch_generator
from tbar_ray.training.shuffled import shuffled
from tbar_ray.unlearning.methods import rnp
from tbar_ray.unlearning.methods.rnp import RNP
from tests.models.tiny import VIT
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

    trained(infected, [away] * 2, image_names(infected), SGD(), 0.05, constant_rate)
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
            bias = bare.replace("weight", "bias")
            weights[bias] = unlearned[bias] * mask
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
    lowest &= every < 0.999
    expected: Change = {}
    for name, pruned in zip(layers, np.split(lowest, len(layers)), strict=True):
        for part in (name, name.replace("weight", "bias")):
            value = infected.start[part].double().numpy()
            expected[part] = -value * pruned.reshape(-1, *[1] * (value.ndim - 1))
    assert found.facts["pruned"] == lowest.sum() > 20
    assert distance(found.edit.vector, expected) < 0.05


def test_the_lowest_masks_are_pruned_up_to_a_share_even_if_many_are_equal() -> None:
    masks = {"a": torch.tensor([0.0, 0.5, 1.0, 0.0]), "b": torch.tensor([0.0, 0.9, 0.2, 0.0])}
    assert {k: v.tolist() for k, v in rnp.lowest(masks, 0.3, 1.0).items()} == {
        "a": [True, False, False, True],
        "b": [True, False, True, True],
    }
    few = rnp.lowest(masks, 0.3, 0.25)
    assert [few["a"].tolist(), few["b"].tolist()] == [[True, False, False, True], [False] * 4]
    assert not any(bool(rows.any()) for rows in rnp.lowest(masks, 0.3, 0.1).values())
