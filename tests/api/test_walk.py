"""The path of α as a user reads it."""

from __future__ import annotations

import json

import pytest

import tbar_ray as tbar
from tbar_ray.errors import ScientificError, SpecError
from tbar_ray.evaluation.selection import AlphaPoint, select
from tbar_ray.unlearning.alpha_walk import DEFAULT_ALPHAS
from tests.api.world import BACKDOOR, CLASSES, infected, labelled, tau, unseen

ALPHAS = (0.0, 4.0, 8.0, 40.0)


def test_the_choice_is_that_of_campaigns() -> None:
    walk = tau().walk(unseen(), ALPHAS, min_retention=0.6, max_asr=0.1)
    points = [AlphaPoint(alpha, scores.ca.value, scores.asr.value) for alpha, scores in walk.scores.items()]
    chosen = select(points, walk.scores[0.0].ca.value, 0.6, 0.1)
    assert chosen is not None
    assert walk.alpha == walk.selected == chosen.alpha != 0
    assert walk.reference_ca == walk.scores[0.0].ca.value


def test_it_is_printed_with_the_choice_and_kept_as_json() -> None:
    walk = tau().walk(unseen(), ALPHAS, min_retention=0.6, max_asr=0.1)
    lines = str(walk).splitlines()
    assert len(lines) == 1 + len(ALPHAS)
    assert [line.split()[0] for line in lines if "selected" in line] == [f"{walk.alpha:g}"]
    found = json.loads(json.dumps(walk.to_dict()))
    assert [entry["alpha"] for entry in found["path"]] == list(ALPHAS)
    assert found["path"][0]["asr"] == walk.scores[0.0].asr.to_dict()
    assert found["statistics"] == "reestimated"
    assert found["path"][1]["as_applied"]["asr"] == walk.as_applied[4.0].asr.to_dict()
    assert lines[0].endswith("ASR as applied")
    assert f"{walk.as_applied[4.0].asr.value:.1%}" in lines[2]
    assert found["selected"] == walk.alpha


def test_where_no_alpha_keeps_enough_that_is_said() -> None:
    walk = tau().walk(unseen(), [40.0])
    assert walk.selected is None
    assert "no α keeps 95% of the infected model's CA" in str(walk)
    with pytest.raises(ScientificError, match="no α of 40 keeps 95%"):
        _ = walk.alpha


def test_a_bisection_scores_fewer() -> None:
    grid = tuple(float(alpha) for alpha in range(13))
    whole = tau().walk(unseen(), grid, min_retention=0.6, max_asr=0.1, statistics="as_applied")
    few = tau().walk(unseen(), grid, min_retention=0.6, max_asr=0.1, search="bisection", statistics="as_applied")
    assert few.alpha == whole.alpha
    assert len(few.scores) < len(grid)


def test_a_method_that_was_told_of_no_backdoor_is_walked_with_one() -> None:
    model = infected()
    images, labels = labelled(16, 2)
    clean = tbar.pairs(images, labels=labels)
    found = tbar.estimate(model, "clean-finetuning", classes=CLASSES, clean=clean, steps=2, batch_size=8)
    with pytest.raises(SpecError, match="was given no backdoor"):
        found.walk(unseen())
    assert list(found.walk(unseen(), backdoor=BACKDOOR).scores) == [1.0]
    assert tau().alphas == DEFAULT_ALPHAS
