"""What every method says of itself."""

from __future__ import annotations

import inspect

import pytest

from tbar_ray.later import LATER
from tbar_ray.unlearning.base import Unlearner
from tbar_ray.unlearning.registry import UNLEARNERS, build_unlearner


@pytest.mark.parametrize("kind", UNLEARNERS.values(), ids=list(UNLEARNERS))
def test_a_method_that_takes_labelled_pairs_says_so(kind: type[Unlearner]) -> None:
    taken = "LabelledPairs(" in inspect.getsource(inspect.getmodule(kind))  # type: ignore[arg-type]
    assert kind().reads_labels is taken


def test_fine_tuning_reads_labels_for_classification_alone() -> None:
    for name in ("clean-finetuning", "conflict-merging"):
        assert build_unlearner(name, {"objective": "classification"}).reads_labels
        assert not build_unlearner(name, {"objective": "contrastive"}).reads_labels
    assert not build_unlearner("tbar", {"objective": "classification"}).reads_labels, "of the forget set, not of pairs"


@pytest.mark.parametrize("kind", UNLEARNERS.values(), ids=list(UNLEARNERS))
def test_all_hyper_parameters_count_but_later_ones(kind: type[Unlearner]) -> None:
    later = {name for name, field in kind.model_fields.items() if LATER in field.metadata}
    assert kind().identity() == {k: v for k, v in kind().model_dump().items() if k not in later}


def test_a_later_hyper_parameter_counts_once_it_is_set() -> None:
    plain, held = (build_unlearner("twin-distillation", {"layers": weight}) for weight in (0, 40))
    assert "layers" not in plain.identity()
    assert held.identity() == {**plain.identity(), "layers": 40.0}
    assert build_unlearner("twin-distillation", plain.identity()) == plain
