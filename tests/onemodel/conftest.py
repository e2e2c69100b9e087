"""One planted model as files, examined and cleaned once for all tests of the room."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

import tbar_ray as tbar
from tbar_ray.detection.calibration import save_calibration
from tbar_ray.onemodel.examine import Examined
from tbar_ray.onemodel.remove import Cleaned
from tbar_ray.onemodel.scan_result import Scan
from tbar_ray.onemodel.scanning import scan
from tbar_ray.onemodel.settings import CleaningSettings
from tbar_ray.onemodel.workflow import clean_checkpoint, examine_checkpoint
from tests.api.world import CLASSES, infected, labelled, write_benchmark, write_folder, write_shards
from tests.detection.zoo import leaning
from tests.models.tiny import GROUP_NORM, WIDE, snapshot, tiny

PARAMETERS = {"patch_size": 56, "place": "bottom-right"}
QUICK = CleaningSettings(
    method="tbar",
    parameters={"steps": 10, "learning_rate": 1e-4},
    forget=48,
    alphas=(0, 6, 20),
    min_retention=0.6,
    max_asr=0.1,
    max_images=None,
)


@dataclass(frozen=True)
class Files:
    """A planted checkpoint, and images: a folder a class, shards, and a labelled set."""

    checkpoint: Path
    folder: Path
    shards: Path
    labelled: Path


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> Files:
    home = tmp_path_factory.mktemp("one model")
    state = {f"module.{name}": value for name, value in snapshot(infected().module).items()}
    torch.save({"epoch": 3, "state_dict": state}, home / "infected.pt")
    images, labels = labelled(96, 3)
    unseen, truth = labelled(80, 9)
    return Files(
        home / "infected.pt",
        write_folder(home / "folder", images, labels),
        write_shards(home / "shards", images, labels),
        write_benchmark(home / "labelled", unseen, truth),
    )


def looked_at(files: Files) -> Examined:
    """Examine the planted model on shards and the labelled set."""
    return examine_checkpoint(
        files.checkpoint,
        WIDE,
        images=str(files.shards),
        trigger="badnets",
        target="blue",
        trigger_parameters=PARAMETERS,
        evaluation=files.labelled,
        settings=QUICK,
    )


@pytest.fixture(scope="session")
def examined(files: Files) -> Examined:
    """The planted model; not to be cleaned, which would change its weights."""
    return looked_at(files)


@pytest.fixture(scope="session")
def cleaned(files: Files) -> Cleaned:
    """The planted model, cleaned."""
    return clean_checkpoint(looked_at(files))


@pytest.fixture(scope="session")
def scanned(tmp_path_factory: pytest.TempPathFactory) -> Scan:
    """A scan of a small model by searches that end at once."""
    folder = tmp_path_factory.mktemp("scanned")
    model = tbar.Model(tiny(GROUP_NORM), GROUP_NORM)
    model.save(folder / "suspect.pt")
    save_calibration(leaning("infected"), folder / "calibration.json")
    images, _ = labelled(64, 3, model)
    return scan(
        folder / "suspect.pt", images, CLASSES, architecture=GROUP_NORM, calibration=folder / "calibration.json"
    )
