"""Cleaning: the same scores as the Python API and a campaign, and no image used twice."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch

import tbar_ray as tbar
from tbar_ray.data.selection import ranked
from tbar_ray.errors import ScientificError
from tbar_ray.onemodel.examine import Examined
from tbar_ray.onemodel.remove import Cleaned, remove
from tbar_ray.onemodel.workflow import clean_checkpoint, examine_checkpoint
from tbar_ray.records.scores import ScoresRecord
from tbar_ray.store.store import Store
from tests.api.world import BACKDOOR
from tests.models.tiny import WIDE, snapshot
from tests.onemodel.conftest import PARAMETERS, QUICK, Files
from tests.specs import spec
from tests.stages.computing import compute_trial


def test_a_campaign_gives_the_same_scores(files: Files, cleaned: Cleaned, tmp_path: Path) -> None:
    torch.set_num_threads(1)
    settings = {
        "data": {"train": str(files.shards), "evaluation": str(files.labelled)},
        "model": {"architecture": WIDE},
        "attacks": {
            "badnets": {
                "trigger": "badnets", "target": "blue", "parameters": PARAMETERS, "infected": str(files.checkpoint),
            }
        },
        "poison": {},
        "forget": {"size": QUICK.forget},
        "alpha": list(QUICK.alphas or ()),
        "unlearning": {"method": "tbar", "parameters": dict(QUICK.parameters)},
        "evaluation": {"validation_fraction": 0.5, "min_retention": QUICK.min_retention, "max_asr": QUICK.max_asr},
        "search": {"axes": {"attack": ["badnets"]}},
    }  # fmt: skip
    record = compute_trial(spec(**settings), {"attack": "badnets"}, Store(str(tmp_path / "store")))
    assert cleaned.after.scores is not None
    assert cleaned.examined.before.scores is not None
    assert record.alpha == cleaned.alpha
    assert record.removed == ScoresRecord.model_validate(cleaned.after.scores.to_dict())
    assert record.infected == ScoresRecord.model_validate(cleaned.examined.before.scores.to_dict())
    for point in record.path:
        assert point.scores == ScoresRecord.model_validate(cleaned.walk.scores[point.alpha].to_dict())
        assert point.as_applied == ScoresRecord.model_validate(cleaned.walk.as_applied[point.alpha].to_dict())
    assert record.statistics_images == cleaned.statistics_images == QUICK.forget


def test_the_backdoor_is_gone(cleaned: Cleaned) -> None:
    assert cleaned.examined.before.asr is not None
    assert cleaned.after.asr is not None
    assert cleaned.examined.before.asr.value > 0.9
    assert cleaned.after.asr.value <= 0.1
    assert cleaned.feasible
    assert cleaned.coefficient == -cleaned.alpha < 0
    assert cleaned.after.scores == tbar.evaluate(cleaned.model, cleaned.examined.test, BACKDOOR)


def test_the_cleaned_model_takes_the_place_of_the_suspicious_one(cleaned: Cleaned) -> None:
    assert cleaned.model.module is cleaned.examined.opened.model.module


def test_pictures_have_the_answers_of_both(cleaned: Cleaned) -> None:
    for before, after in zip(cleaned.examined.pictures, cleaned.pictures, strict=True):
        assert after.before == before.before
        assert after.after
        assert torch.equal(after.pixels, before.pixels)
    assert any(picture.after[0].name != picture.before[0].name for picture in cleaned.pictures)


def test_what_changed_lies_in_the_image_encoder(cleaned: Cleaned) -> None:
    assert sum(change.share for change in cleaned.layers) == pytest.approx(1)
    assert all(change.layer.startswith("visual") for change in cleaned.layers)


def test_images_that_evaluate_are_not_unlearned_with(files: Files) -> None:
    found = examine_checkpoint(
        files.checkpoint, WIDE, images=str(files.folder), trigger="badnets", target="blue",
        trigger_parameters=PARAMETERS, templates=["a {} thing"],
        settings=dataclasses.replace(QUICK, forget=16, parameters={"steps": 1}, alphas=(1,)),
    )  # fmt: skip
    kept = found.defence.held
    assert len(kept) == 48
    done = clean_checkpoint(found)
    used = {key for keys in done.keys.values() for key in keys}
    assert len(used) == 16
    assert not used & kept
    assert done.excluded == 48
    left = [key for key in found.defence.samples.keys if key not in kept]
    assert set(done.keys["triggered"]) <= set(ranked(left, 0, "forget set")[:30])


def test_if_no_alpha_keeps_enough_ca_nothing_is_applied(files: Files, examined: Examined) -> None:
    hopeless = dataclasses.replace(
        examined, settings=dataclasses.replace(QUICK, min_retention=1.0, alphas=(2000, 4000), parameters={"steps": 1})
    )
    before = snapshot(examined.opened.model.module)
    with pytest.raises(ScientificError, match=r"nothing was written: no α keeps 100% of the model's CA .* --min-reten"):
        remove(hopeless)
    after = snapshot(examined.opened.model.module)
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_progress_is_told_by_part(files: Files) -> None:
    told: list[tuple[str, int, int]] = []
    found = examine_checkpoint(
        files.checkpoint, WIDE, images=str(files.shards), trigger="badnets", target="blue",
        trigger_parameters=PARAMETERS, evaluation=files.labelled, watch=lambda *facts: told.append(facts),
        settings=dataclasses.replace(QUICK, parameters={"steps": 2}, forget=8, alphas=(0, 1)),
    )  # fmt: skip
    clean_checkpoint(found, watch=lambda *facts: told.append(facts))
    for part in ("reading and scoring the images", "unlearning (tbar)", "choosing α", "scoring the cleaned model"):
        done, total = [(done, total) for what, done, total in told if what == part][-1]
        assert done == total > 0, part
