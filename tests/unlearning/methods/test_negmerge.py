from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from tbar_ray.seeding import stable_hash
from tbar_ray.unlearning.methods.negmerge import NegMerge, agreeing
from tbar_ray.unlearning.methods.tbar import TBAR
from tests.models.tiny import VIT
from tests.unlearning.formulas import infected_of, vector
from tests.unlearning.reference import NEAR, as_change, distance


def test_the_edit_is_the_mean_of_several_vectors_where_their_signs_agree() -> None:
    infected = infected_of(VIT)
    found = NegMerge(steps=3, batch_size=8, learning_rate=1e-4, vectors=3, spread=4.0).find(infected)
    infected.restore()
    vectors = []
    for number, rate in enumerate(np.geomspace(1e-4 / 4, 1e-4 * 4, 3)):
        again = dataclasses.replace(infected, seed=stable_hash(0, "negmerge", number))
        vectors.append(as_change(TBAR(steps=3, batch_size=8, learning_rate=float(rate)).find(again).edit.vector))
        infected.restore()
    stacks = {name: np.stack([vector[name] for vector in vectors]) for name in vectors[0]}
    agreeing = {name: np.abs(np.sign(stack).sum(0)) == 3 for name, stack in stacks.items()}
    assert distance(found.edit.vector, {name: stack.mean(0) * agreeing[name] for name, stack in stacks.items()}) < NEAR
    kept = sum(rows.sum() for rows in agreeing.values()) / sum((stack[0] != 0).sum() for stack in stacks.values())
    assert 0.2 < kept < 0.95
    assert found.facts["share_kept"] == pytest.approx(kept, abs=1e-3)


def test_weights_are_kept_where_all_fine_tunes_agree_in_sign() -> None:
    vectors = [vector(a=torch.tensor(row)) for row in ([1.0, -1, 2, 0], [3.0, -3, -2, 1], [5.0, -2, 1, 1])]
    assert agreeing(vectors).tensors["a"].tolist() == [3.0, -2.0, 0.0, 0.0]
