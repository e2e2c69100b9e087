"""Rebound as a user of the Python API asks for it."""

from __future__ import annotations

import json
from typing import Any

import pytest

import tbar_ray as tbar
from tbar_ray.errors import DataError, SpecError
from tests.api.world import BACKDOOR, CLASSES, infected, labelled, unseen
from tests.models.tiny import RESNET, same, snapshot
from tests.unlearning.planted import NAMES, TARGET

FEW: dict[str, Any] = {"steps": 3, "batch_size": 16, "at": (1,)}


def pairs_of(model: tbar.Model, count: int | None = None, *, target: bool = False) -> Any:
    """Pairs of all classes but the target, or of all."""
    images, labels = labelled(48, 2, model)
    kept = [row for row, label in enumerate(labels) if target or label != TARGET]
    return tbar.pairs(images[kept], count, captions=[f"something {NAMES[labels[row]]}" for row in kept])


def test_a_copy_is_trained_and_scored_on_the_way() -> None:
    model = infected(RESNET)
    state = snapshot(model.module)
    found = tbar.rebound(model, unseen(model=model), BACKDOOR, clean=pairs_of(model), **FEW)
    assert same(state, snapshot(model.module))
    assert list(found.scores) == [0, 1, 3]
    assert found.scores[0] == tbar.evaluate(model, unseen(model=model), BACKDOOR)
    assert not found.figures.eligible, "nothing was removed"
    faster = tbar.rebound(model, unseen(model=model), BACKDOOR, clean=pairs_of(model), learning_rate=1e-2, **FEW)
    assert faster.scores[3].ca.value < found.scores[3].ca.value, "it is trained, at the rate that is asked for"
    again = tbar.rebound(model, unseen(model=model), BACKDOOR, clean=pairs_of(model), **FEW)
    assert again == found
    assert (found.pairs, found.left_out) == (36, 0)


def test_it_is_shown_as_a_table_and_given_for_json() -> None:
    model = infected(RESNET)
    found = tbar.rebound(model, unseen(model=model), BACKDOOR, clean=pairs_of(model), **FEW)
    head, *rows, note, told = str(found).splitlines()
    assert head.split() == ["step", "CA", "ASR", "PA"]
    assert [row.split()[0] for row in rows] == ["0", "0′", "1", "3"]
    assert rows[0].split()[2] == f"{found.scores[0].asr.value:.1%}"
    assert note.startswith("0′: ")
    assert told.endswith("ASR ≥ 50% at step 0; not removed to begin with: A_0 is above 10%")
    content = json.loads(json.dumps(found.to_dict()))
    assert [point["step"] for point in content["curve"]] == [0, 1, 3]
    assert content["curve"][0]["asr"]["value"] == found.figures.start
    assert content["options"]["batch_size"] == 16
    assert content["figures"]["highest"] == found.figures.highest
    assert content["reestimated"]["ca"]["n"] == 80


def test_pairs_that_name_the_target_are_left_out_with_a_warning() -> None:
    model = infected(RESNET)
    with pytest.warns(UserWarning, match="rebound: 12 of the clean pairs show or name the target 'blue'"):
        found = tbar.rebound(model, unseen(model=model), BACKDOOR, clean=pairs_of(model, target=True), **FEW)
    assert (found.pairs, found.left_out) == (36, 12)


def test_an_edits_own_classifier_stays() -> None:
    model = infected(RESNET)
    own = model.head(CLASSES).roll(1, 0)
    other = tbar.Model(model.module, RESNET, type(model.beside)(own, CLASSES.names))
    found = tbar.rebound(other, unseen(model=model), BACKDOOR, clean=pairs_of(model), **FEW)
    assert found.scores[0].ca.value < 0.2, "answers are those of the next class"
    assert found.scores[3].ca.value < 0.2


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ({"steps": 30, "at": [31]}, r"rebound: at: step 31 is beyond the last one; raise steps \(30\) or leave it out"),
        ({"at": (0, 10, 10)}, "rebound: at: steps must rise from 0 or more"),
        ({"learning_rate": 0}, "rebound: learning_rate: Input should be greater than 0"),
    ],
)
def test_steps_that_cannot_be_are_one_line(wanted: dict[str, Any], said: str) -> None:
    model = infected(RESNET)
    with pytest.raises(SpecError, match=said):
        tbar.rebound(model, unseen(model=model), BACKDOOR, clean=pairs_of(model), **wanted)


def test_no_pairs_without_the_target_are_one_line() -> None:
    model = infected(RESNET)
    images, _ = labelled(8, 2, model)
    named = tbar.pairs(images, captions=["a blue thing"] * 8)
    with pytest.raises(DataError, match="rebound: no clean pairs are left of 8 samples: 0 are poisoned or in use, 8"):
        tbar.rebound(model, unseen(model=model), BACKDOOR, clean=named, **FEW)
