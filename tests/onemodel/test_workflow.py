"""From a checkpoint to a cleaned model by one call each, and what is refused."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

import tbar_ray as tbar
from tbar_ray.errors import NoBackdoorError, SpecError
from tbar_ray.onemodel.examine import Examined
from tbar_ray.onemodel.workflow import clean_checkpoint, examine_checkpoint
from tests.api.test_artifacts import write_artifact
from tests.models.tiny import same, snapshot, tiny
from tests.onemodel.conftest import QUICK, Files


def test_a_clean_model_is_refused_unless_forced(files: Files, tmp_path: Path) -> None:
    from tests.models.tiny import RESNET

    tbar.Model(tiny(RESNET), RESNET).save(tmp_path / "clean.pt")
    settings = dataclasses.replace(QUICK, parameters={"steps": 1}, forget=8, alphas=(0,), min_asr=0.9)
    found = examine_checkpoint(
        tmp_path / "clean.pt", RESNET, images=str(files.shards), trigger="wanet", target="red",
        evaluation=files.labelled, settings=settings,
    )  # fmt: skip
    weak = dataclasses.replace(found, settings=dataclasses.replace(settings, min_asr=1.0))
    before = snapshot(weak.opened.model.module)
    assert weak.asr.value < 1
    with pytest.raises(NoBackdoorError, match=r"clean\.pt: no backdoor was found .* less than --min-asr 1; .*--force"):
        clean_checkpoint(weak)
    assert same(before, snapshot(weak.opened.model.module))
    assert clean_checkpoint(weak, force=True).alpha == 0


def test_a_campaigns_model_brings_trigger_target_and_poisoned_keys(files: Files, tmp_path: Path) -> None:
    folder = write_artifact(tmp_path, "infected-model-0", 1, "badnets")
    tbar.Model(tiny("tbar-RN-pico"), "tbar-RN-pico").save(folder / "weights.safetensors")
    found = examine_checkpoint(
        folder, images=str(files.shards), evaluation=files.labelled, classes=["banana", "b", "c", "d"],
        templates=["a {}"], settings=dataclasses.replace(QUICK, parameters={"steps": 1}, forget=8, alphas=(0,)),
    )  # fmt: skip
    assert (found.backdoor.trigger.name, found.backdoor.target) == ("badnets", "banana")
    assert clean_checkpoint(found, force=True).excluded == 2


def test_without_a_trigger_nothing_can_be_done(files: Files) -> None:
    from tests.models.tiny import WIDE

    with pytest.raises(SpecError, match=r"give the suspected trigger: --trigger .*`tbar scan`.*--from-scan"):
        examine_checkpoint(files.checkpoint, WIDE, images=str(files.shards), target="blue")


def test_the_threshold_is_of_validation_images(examined: Examined) -> None:
    assert examined.asr == examined.gate.asr
