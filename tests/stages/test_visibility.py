"""A trigger's visibility on the images of an evaluation set, computed without Ray."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from tbar_ray.evaluation.visibility import Visibility
from tbar_ray.planning.planner import Planner
from tbar_ray.records.measures import VisibilityRecord
from tbar_ray.stages import visibility
from tbar_ray.stages.samples import open_evaluation
from tbar_ray.stages.visibility import VISIBILITY, MeasureVisibility
from tbar_ray.store.store import Store
from tbar_ray.triggers.base import stamp_uint8
from tests.specs import spec
from tests.stages.computing import compute_all


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(str(tmp_path))


def measured(stage: MeasureVisibility, store: Store) -> VisibilityRecord:
    compute_all(stage, store)
    return VisibilityRecord.model_validate(json.loads((store.fetch(stage.artifact) / VISIBILITY).read_text()))


def test_it_is_of_images_at_the_models_size_stamped_as_for_evaluation(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(visibility, "MOST_IMAGES", 40)
    attack = {"trigger": "detect-clip/badnets", "target": "red circle"}  # trained anywhere, tested in the centre
    made = spec(attacks={"lattice": attack}, search__axes={"attack": ["lattice"]})
    stage = Planner(made).plan({}).graph.visibility
    found = measured(stage, store)
    data = open_evaluation(stage.evaluation, store)
    positions = range(0, len(data.labels), 3)
    clean = torch.from_numpy(data.images(positions, 64, "bicubic"))
    trigger = stage.backdoor.build(store).at_test()
    expected = Visibility.of(clean, stamp_uint8(trigger, clean, data.keys(positions)))
    assert len(data.labels) == 120
    assert found == VisibilityRecord.model_validate(expected.to_dict())
    assert (found.images, found.unchanged) == (40, 0)
    assert found.psnr is not None
    assert 20 < found.psnr.value < 35


def test_a_stronger_trigger_is_more_visible(store: Store) -> None:
    planner = Planner(spec())
    faint, strong = (
        measured(planner.plan({"attack": "blended", "attacks.blended.parameters.ratio": ratio}).graph.visibility, store)
        for ratio in (0.05, 0.3)
    )
    assert faint.psnr is not None
    assert strong.psnr is not None
    assert faint.psnr.value > strong.psnr.value + 10
    assert faint.ssim.value > strong.ssim.value
