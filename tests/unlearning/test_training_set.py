"""Both sets of a defender's that methods fine-tune on: by labels or by captions, in a seeded order."""

from __future__ import annotations

import dataclasses
from itertools import islice

import pytest
import torch

from tbar_ray.errors import DataError
from tbar_ray.seeding import torch_generator
from tbar_ray.unlearning.base import Infected
from tbar_ray.unlearning.training_set import TrainingSet, batches_of, chosen_objective
from tests.models.tiny import VIT
from tests.unlearning.formulas import CLOSE, chances_of, first, image_rows, info_nce_of_rows, scale_of, text_rows, value
from tests.unlearning.formulas import infected_of as made

SETS = ["forget", "clean"]


@pytest.fixture(scope="module")
def infected() -> Infected:
    return made(VIT)


@pytest.mark.parametrize("name", SETS)
def test_the_loss_is_on_the_labels_or_on_the_captions(name: str, infected: Infected) -> None:
    data: TrainingSet = getattr(infected, name)
    batch = first(batches_of(infected, data, 6, "x"))
    assert batch.labels is not None
    assert batch.tokens is not None
    by_label = chosen_objective(infected, data, "classification", "tried")
    picked = chances_of(infected, batch.images)[range(6), batch.labels]
    assert value(by_label, batch) == pytest.approx(-picked.mean(), **CLOSE)
    assert all(key.startswith("visual.") for key in by_label.named_parameters())
    by_caption = chosen_objective(infected, data, "contrastive", "tried")
    rows = image_rows(infected, batch.images), text_rows(infected, batch.tokens)
    assert value(by_caption, batch) == pytest.approx(info_nce_of_rows(*rows, scale_of(infected)), **CLOSE)
    assert len(by_caption.named_parameters()) > len(by_label.named_parameters())


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("forget", "clean forget images have no class label, .*set unlearning.parameters.objective: contrastive"),
        ("clean", "the defender's pairs have no class labels, .*add 'label' to the samples' json"),
    ],
)
def test_an_unknown_label_is_one_line_for_classification_alone(name: str, message: str, infected: Infected) -> None:
    data = getattr(infected, name)
    assert torch.equal(data.require_labels("tried"), data.labels)
    labels = data.labels.clone()
    labels[1] = -1
    lacking = dataclasses.replace(data, labels=labels)
    for asked in (
        lambda: lacking.require_labels("tried"),
        lambda: chosen_objective(infected, lacking, "classification", "tried"),
    ):
        with pytest.raises(DataError, match=f"^tried: {message}[^\n]*$"):
            asked()
    chosen_objective(infected, lacking, "contrastive", "tried")


@pytest.mark.parametrize("name", SETS)
def test_every_epoch_has_an_order_of_the_seed_and_the_purpose(name: str, infected: Infected) -> None:
    data: TrainingSet = getattr(infected, name)
    count = len(data.images)
    batches = list(islice(batches_of(infected, data, count, "some order"), 2))
    for epoch, batch in enumerate(batches):
        order = torch.randperm(count, generator=torch_generator(infected.seed, "some order", epoch))
        assert torch.equal(batch.images, data.images[order])
        assert batch.labels is not None
        assert batch.tokens is not None
        assert torch.equal(batch.labels, data.labels[order])
        assert torch.equal(batch.tokens, data.tokens[order])
    assert not torch.equal(batches[0].images, batches[1].images)
    assert not torch.equal(batches[0].images, first(batches_of(infected, data, count, "another order")).images)
