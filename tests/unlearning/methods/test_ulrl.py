from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from tbar_ray.seeding import torch_generator
from tbar_ray.training.shuffled import shuffled
from tbar_ray.unlearning.methods.ulrl import ULRL
from tests.models.tiny import VIT
from tests.unlearning.formulas import infected_of
from tests.unlearning.reference import (
    NEAR,
    SGD,
    constant_rate,
    cosine_rate,
    cross_entropy,
    distance,
    image_names,
    log_chances,
    trained,
)


def test_the_edit_unlearns_resets_the_suspicious_rows_and_relearns() -> None:
    infected = infected_of(VIT)
    method = ULRL(
        samples=24, unlearning_steps=2, stop_at=0.0, threshold=0.01, most=1, steps=2, batch_size=8, learning_rate=0.05,
        relearning_rate=0.02, deviation=3.0,
    )  # fmt: skip
    found = method.find(infected)
    infected.restore()
    clean, names, before = infected.clean, image_names(infected), infected.classes.head
    rows = torch.randperm(len(clean), generator=torch_generator(0, "ulrl samples"))[:24].sort().values
    images, labels = clean.images[rows], clean.labels[rows]

    def phase(sign: int, head: Tensor, beside: Callable[[], Tensor]) -> Callable[[], Tensor]:
        batches = shuffled(images, labels, None, batch_size=8, seed=0, purpose=f"ulrl phase {sign:+d}")

        def loss() -> Tensor:
            batch = next(batches)
            assert batch.labels is not None
            return sign * cross_entropy(log_chances(infected, batch.images, head), batch.labels) + beside()

        return loss

    head = before.clone().requires_grad_(True)
    away = phase(-1, head, lambda: torch.zeros(()))
    moved = trained(infected, [away] * 2, names, SGD(), 0.05, constant_rate, {"head": head})
    scores = np.abs(moved["head"]).sum(1)
    worst = int(scores.argmax())
    deviations = np.abs(scores - np.median(scores))
    assert (scores[worst] - np.median(scores)) / (1.4826 * np.median(deviations)) > 0.01

    infected.restore()
    draw = torch_generator(0, "ulrl re-initialisation")
    fresh = (2 * torch.rand(1, before.shape[1], generator=draw) - 1) * np.sqrt(2 / before.shape[1])
    head = before.clone()
    head[worst] = fresh[0]
    head.requires_grad_(True)

    def likeness() -> Tensor:
        return 3.0 * (head[worst] @ before[worst]) / (head[worst].norm() * before[worst].norm())

    reset = head.detach().double().numpy().copy()
    again = trained(infected, [phase(1, head, likeness)] * 2, names, SGD(), 0.02, cosine_rate, {"head": head})
    assert found.facts["suspicious"] == [worst]
    assert found.edit.head is not None
    assert (
        distance({"head": found.edit.head - before}, {"head": reset + again.pop("head") - before.double().numpy()})
        < NEAR
    )
    assert distance(found.edit.vector, again) < NEAR


def test_unlearning_ends_where_accuracy_is_low_enough() -> None:
    infected = infected_of(VIT)
    found = ULRL(samples=24, unlearning_steps=9, stop_at=0.999, threshold=1e9, batch_size=8).find(infected)
    assert found.record.steps == 1
    assert found.facts["suspicious"] == []
    assert found.edit.head is None
