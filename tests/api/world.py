"""The planted backdoor of `tests/unlearning/planted.py` as a user of the Python API meets it."""

from __future__ import annotations

import io
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

import tbar_ray as tbar
from tbar_ray.models.architectures import image_size
from tests.data.tars import write_tar
from tests.models.tiny import WIDE
from tests.unlearning.planted import NAMES, TARGET, TEMPLATES, TRIGGER, case, pictures, poisoned_pictures

BACKDOOR = tbar.Backdoor(TRIGGER, NAMES[TARGET])
CLASSES = tbar.Classes(NAMES, TEMPLATES)


def infected(architecture: str = WIDE, every: int = 5) -> tbar.Model:
    """Return a model of its own with the backdoor."""
    return tbar.Model(case(architecture, True, every).model, architecture).copy()


def labelled(count: int, seed: int, model: tbar.Model | None = None) -> tuple[NDArray[np.uint8], list[int]]:
    """Return images of a model's size, or of that of `infected`, and their classes."""
    side = image_size(WIDE) if model is None else model.preprocessing.size
    images, labels = pictures(count, side, seed)
    return images.numpy(), labels.tolist()


def unseen(count: int = 80, model: tbar.Model | None = None) -> tbar.Images:
    """Return labelled images that nobody trained on."""
    images, labels = labelled(count, 9, model)
    return tbar.evaluation_set(images, labels=labels, classes=CLASSES)


def suspicious(model: tbar.Model) -> tuple[Tensor, list[int]]:
    """Return the attacker's training data."""
    images, labels = poisoned_pictures(model.preprocessing.size)
    return images, labels.tolist()


def png(image: NDArray[np.uint8]) -> bytes:
    """Encode an image [3, H, W] without loss."""
    stream = io.BytesIO()
    Image.fromarray(image.transpose(1, 2, 0)).save(stream, "PNG")
    return stream.getvalue()


def write_folder(folder: Path, images: NDArray[np.uint8], labels: list[int]) -> Path:
    """Write a subfolder of PNG files for every class."""
    for row, (image, label) in enumerate(zip(images, labels, strict=True)):
        path = folder / NAMES[label] / f"{row:03d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(png(image))
    return folder


def write_shards(folder: Path, images: NDArray[np.uint8], labels: list[int]) -> Path:
    """Write two shards in img2dataset's layout."""
    folder.mkdir()
    for shard in range(2):
        members = []
        for row in range(shard, len(images), 2):
            members += [
                (f"{row:05d}.png", png(images[row])),
                (f"{row:05d}.json", f'{{"label": "{NAMES[labels[row]]}"}}'.encode()),
            ]
        write_tar(folder / f"{shard:05d}.tar", members)
    return folder


def write_benchmark(folder: Path, images: NDArray[np.uint8], labels: list[int], split: str = "test") -> Path:
    """Write a set in CLIP_benchmark's layout."""
    (folder / split).mkdir(parents=True)
    (folder / "classnames.txt").write_text("\n".join(NAMES))
    (folder / "zeroshot_classification_templates.txt").write_text("\n".join(TEMPLATES))
    (folder / split / "nshards.txt").write_text("1")
    members = []
    for row, (image, label) in enumerate(zip(images, labels, strict=True)):
        members += [(f"{row:05d}.png", png(image)), (f"{row:05d}.cls", str(label).encode())]
    write_tar(folder / split / "0.tar", members)
    return folder


@cache
def tau() -> tbar.Estimate:
    """Return TBAR's estimate, found once; not to be applied in place."""
    model = infected()
    images, labels = labelled(64, 3, model)
    return tbar.estimate(
        model,
        classes=CLASSES,
        backdoor=BACKDOOR,
        forget=tbar.forget_set(images, size=48, labels=labels),
        steps=10,
        learning_rate=1e-4,
    )
