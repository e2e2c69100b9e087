from argparse import Namespace

import numpy as np
import torch

from tbar_ray.models.formats.kept import kept_of


def test_numbers_and_texts_are_kept_as_pythons_own() -> None:
    args = Namespace(model="RN50", betas=[1], lr=np.float64(0.5), flag=True)
    beside = {"epoch": 3, "acc": np.float64(2.5), "none": None, "optimizer": {"a": 1}, "args": args, "t": torch.ones(1)}
    kept = kept_of(beside)
    expected = {"model": "RN50", "lr": 0.5, "flag": True}
    assert kept == {"epoch": 3, "acc": 2.5, "none": None, "optimizer": {}, "args": expected}
    assert type(kept["acc"]) is float
    assert kept["args"]["flag"] is True  # type: ignore[index]
