"""aTLAS: coefficients per block against finite differences of the divergence in NumPy."""

import dataclasses

import numpy as np
import pytest
import torch

from tbar_ray.seeding import torch_generator
from tbar_ray.unlearning.defender import ForgetSet
from tbar_ray.unlearning.methods.atlas import ATLAS
from tbar_ray.unlearning.methods.tbar import TBAR
from tests.models.tiny import VIT
from tests.unlearning.formulas import chances_of, infected_of
from tests.unlearning.reference import AdamW, distance

STEPS, RATE, FIRST, HOLD = 3, 0.1, 2.0, 0.5


def home(name: str) -> str:
    """Return the block that a tensor of the vision transformer belongs to."""
    parts = name.split(".")
    return parts[3] if "resblocks" in parts else "rest"


def test_every_block_gets_the_coefficient_that_adam_finds_on_what_was_held_out() -> None:
    infected = infected_of(VIT)
    settings = {"steps": 2, "batch_size": 8, "learning_rate": 1e-3}
    found = ATLAS(
        **settings, granularity="block", coefficient_steps=STEPS, coefficient_rate=RATE, first=FIRST, hold=HOLD,
        validation=0.25,
    ).find(infected)  # fmt: skip
    infected.restore()
    forget = infected.forget
    order = torch.randperm(len(forget.images), generator=torch_generator(0, "atlas split"))
    count = round(0.25 * len(order))
    held, learned = order[:count], order[count:]
    part = ForgetSet(*(getattr(forget, field.name)[learned] for field in dataclasses.fields(forget)))
    data = dataclasses.replace(infected.data, forget=part)
    tau = TBAR(**settings).find(dataclasses.replace(infected, data=data)).edit.vector.tensors
    infected.restore()
    blocks = sorted({home(name) for name, value in tau.items() if value.any()})
    answers = chances_of(infected, forget.twins[held])

    def divergence(coefficients: np.ndarray, rows: torch.Tensor) -> float:
        scales = dict(zip(blocks, coefficients.tolist(), strict=True))
        moved = {n: infected.start[n] - scales[home(n)] * value for n, value in tau.items() if value.any()}
        infected.model.load_state_dict({**infected.start, **moved})
        wanted = answers[rows.numpy()]
        changed, kept = (
            (np.exp(wanted) * (wanted - chances_of(infected, images[held[rows]]))).sum(1).mean()
            for images in (forget.images, forget.twins)
        )
        return float(changed + HOLD * kept)

    rule, coefficients = AdamW(0.0, 0.999, 1e-8), np.full(len(blocks), FIRST)
    for step in range(STEPS):
        rows = torch.randperm(count, generator=torch_generator(0, "atlas batch", step))[:8]
        shifts = 0.03 * np.eye(len(blocks))
        slope = [(divergence(coefficients + s, rows) - divergence(coefficients - s, rows)) / 0.06 for s in shifts]
        coefficients = rule("coefficients", coefficients, np.array(slope), RATE)
    scales = dict(zip(blocks, coefficients, strict=True))
    expected = {name: scales[home(name)] * value.double().numpy() for name, value in tau.items() if value.any()}
    assert distance(found.edit.vector, expected) < 0.01
    assert distance(found.edit.vector, {name: FIRST * tau[name].double().numpy() for name in expected}) > 0.05
    assert found.facts["coefficients"] == 5
    assert found.facts["largest"] == pytest.approx(coefficients.max(), abs=0.05)
