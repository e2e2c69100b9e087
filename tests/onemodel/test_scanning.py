"""Scanning a model: what is searched, and what is said of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import tbar_ray as tbar
from tbar_ray.detection.calibration import save_calibration
from tbar_ray.errors import CheckpointError, DataError, SpecError
from tbar_ray.onemodel.pace import Expected
from tbar_ray.onemodel.scan_result import Scan
from tbar_ray.onemodel.scanning import scan
from tests.api.world import CLASSES
from tests.detection.zoo import leaning
from tests.models.tiny import GROUP_NORM, WIDE, same, snapshot, tiny
from tests.onemodel.conftest import Files


def calibrated(folder: Path, outcome: str, architecture: str = WIDE) -> Path:
    save_calibration(leaning(outcome, architecture), folder / f"{outcome}.json")
    return folder / f"{outcome}.json"


@pytest.fixture
def stubborn(monkeypatch: pytest.MonkeyPatch) -> None:
    """DECREE never converges: no two images are alike enough."""
    monkeypatch.setattr("tbar_ray.inversion.decree.SIMILAR", 2.0)


def noise(count: int = 40) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, 3, 64, 64), dtype=np.uint8)


def test_a_file_is_scanned_without_labels_and_left_as_it_is(files: Files, tmp_path: Path, stubborn: None) -> None:
    told: list[Expected] = []
    watched: list[tuple[str, int, int]] = []
    content = files.checkpoint.read_bytes()
    found = scan(
        files.checkpoint, str(files.shards), CLASSES, architecture=WIDE, calibration=calibrated(tmp_path, "infected"),
        tell=told.append, watch=lambda *words: watched.append(words),
    )  # fmt: skip
    assert files.checkpoint.read_bytes() == content
    assert (found.images, found.judged, found.apart) == (32, 64, True)
    assert list(found.scores) == ["universal-noise", "decree"]
    assert found.scores["decree"] is None
    # the other search raises the alarm without DECREE
    assert (found.outcome, found.judgement.unconverged) == ("infected", ("decree",))
    assert found.judgement.beyond == ()
    assert found.telling == "universal-noise"
    assert found.trigger is not None
    assert [picture.pixels.shape for picture in found.pictures] == [(3, 64, 64)] * 8
    assert all(len(picture.before) == len(picture.after) == 3 for picture in found.pictures)
    assert {what for what, _, _ in watched} == {"searching (universal-noise)", "searching (decree)"}
    assert told[0].parts.keys() == {"class embeddings", "universal-noise", "decree"}
    assert told[0].seconds > 0


def test_a_model_in_memory_is_scanned_and_keeps_its_weights(tmp_path: Path) -> None:
    model = tbar.Model(tiny(GROUP_NORM).eval(), GROUP_NORM)
    before = snapshot(model.module)
    found = tbar.scan(
        model, noise(), CLASSES, searches=["universal-noise"],
        calibration=calibrated(tmp_path, "no evidence", GROUP_NORM),
    )  # fmt: skip
    assert same(before, snapshot(model.module))
    assert all(parameter.requires_grad for parameter in model.module.parameters())
    assert (found.outcome, found.target) == ("no evidence", None)
    assert (found.images, found.judged, found.apart) == (32, 32, False)  # eight others are too few


def test_the_same_seed_gives_the_same_scan(tmp_path: Path) -> None:
    model = tbar.Model(tiny(GROUP_NORM).eval(), GROUP_NORM)
    place = calibrated(tmp_path, "infected", GROUP_NORM)

    def once(seed: int) -> Scan:
        return scan(model, noise(), CLASSES, searches=["universal-noise"], calibration=place, seed=seed)

    assert once(3).scores == once(3).scores != once(4).scores
    assert once(3).trigger == once(3).trigger


def test_an_image_encoder_alone_is_searched_without_classes_and_has_no_target(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = {name: value for name, value in snapshot(tiny(GROUP_NORM)).items() if name.startswith("visual.")}
    torch.save(state, tmp_path / "tower.pt")
    place = calibrated(tmp_path, "infected", GROUP_NORM)
    found = scan(tmp_path / "tower.pt", noise(), architecture=GROUP_NORM, calibration=place)
    assert list(found.scores) == ["decree"]
    assert (found.classes, found.target, found.leads_to) == (None, None, None)
    assert (found.outcome, found.trigger is not None, len(found.pictures)) == ("infected", True, 8)
    assert found.pictures[0].before == ()
    monkeypatch.setattr("tbar_ray.inversion.decree.SIMILAR", 2.0)
    found = scan(tmp_path / "tower.pt", noise(), architecture=GROUP_NORM, calibration=place)
    assert (found.outcome, found.probability) == ("inconclusive", None)  # nothing converged: never clean
    with pytest.raises(SpecError, match="is an image encoder alone, and universal-noise needs classes: choose"):
        scan(tmp_path / "tower.pt", noise(), architecture=GROUP_NORM, calibration=place, searches=["universal-noise"])


def test_another_architecture_is_beyond_the_reference_models(tmp_path: Path) -> None:
    model = tbar.Model(tiny(GROUP_NORM).eval(), GROUP_NORM)
    place = calibrated(tmp_path, "infected", "tbar-RN-pico")
    found = scan(model, noise(), CLASSES, searches=["universal-noise"], calibration=place)
    assert found.judgement.beyond == ("its architecture is tbar-GN-pico, theirs are tbar-RN-pico",)


@pytest.mark.parametrize(
    ("given", "kind", "problem"),
    [
        ({"images": noise(31)}, DataError, "needs 32 clean images or more, got 31; give more"),
        ({"images": noise().astype(np.float32)}, DataError, "must be in .0, 1. where they are floats"),
        ({"images": noise()[:, 0]}, DataError, r"images must be uint8 \[N, 3, H, W\]"),
        ({"images": "nowhere"}, DataError, "nowhere"),
        ({"model": "nowhere.pt"}, CheckpointError, "no checkpoint at nowhere.pt"),
        ({"searches": ["decre"]}, SpecError, "unknown inversion 'decre'; did you mean 'decree'"),
        ({"calibration": "nowhere.json"}, DataError, "nowhere.json: No such file"),
        ({"classes": ["a", "a"]}, DataError, "'a' is listed twice"),
    ],
)
def test_bad_input_is_one_line(given: dict, kind: type[Exception], problem: str, tmp_path: Path) -> None:
    model = tbar.Model(tiny(GROUP_NORM).eval(), GROUP_NORM)
    words = {
        "model": model, "images": noise(), "classes": CLASSES, "calibration": calibrated(tmp_path, "infected"), **given,
    }  # fmt: skip
    with pytest.raises(kind, match=problem) as error:
        scan(**words)
    assert "\n" not in str(error.value)


def test_images_of_another_size_are_resized(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (32, 3, 40, 50), dtype=np.uint8)
    model = tbar.Model(tiny(GROUP_NORM).eval(), GROUP_NORM)
    place = calibrated(tmp_path, "infected", GROUP_NORM)
    assert scan(model, images, CLASSES, searches=["universal-noise"], calibration=place).images == 32
