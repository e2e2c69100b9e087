"""A path of α: one model edited in place, with images decoded and stamped once, against the usual loop."""

from __future__ import annotations

import copy
import time
from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tbar_ray.bench.measure import Comparison, Figure, alternate, seconds_of, wait_for
from tbar_ray.data.images import load_image
from tbar_ray.data.synthetic.encode import encode_image
from tbar_ray.data.synthetic.rendering import render
from tbar_ray.data.synthetic.scenes import CLASS_NAMES, draw_scene
from tbar_ray.evaluation.alpha_search import search_alpha
from tbar_ray.evaluation.normalised_images import NormalisedImages, statistics_batches
from tbar_ray.evaluation.scores import Split, score
from tbar_ray.evaluation.zeroshot import normalise, zero_shot_head
from tbar_ray.models.factory import create_model, preprocessing
from tbar_ray.models.in_place import InPlaceModel
from tbar_ray.models.statistics import estimate_statistics, has_statistics, with_statistics
from tbar_ray.models.statistics_choice import STATISTICS_IMAGES
from tbar_ray.models.task_vector import TaskVector
from tbar_ray.models.tokenizer import build_tokenizer
from tbar_ray.seeding import numpy_rng
from tbar_ray.triggers.badnets import BadNets
from tbar_ray.triggers.base import stamp_uint8

ALPHAS = tuple(round(0.05 * number, 2) for number in range(21))
IMAGES = 480
SIDE = 375
"""Side of the evaluation JPEGs in pixels: the shorter side of most ImageNet images."""
TARGET = 0


class AlphaWork:
    """A model, a task vector and an evaluation set as JPEG bytes."""

    def __init__(self, architecture: str, device: torch.device) -> None:
        self.device = device
        self.model = create_model(architecture, seed=0).to(device).eval()
        self.preprocess = preprocessing(self.model)
        tokenizer = build_tokenizer(architecture)
        self.head = zero_shot_head(self.model, tokenizer, CLASS_NAMES, ["a photo of a {c}"])
        draw = torch.Generator().manual_seed(0)
        self.start = {key: value.detach().clone() for key, value in self.model.state_dict().items()}
        self.vector = TaskVector(
            {
                key: (1e-3 * torch.randn(value.shape, generator=draw)).to(device) * float(key.startswith("visual."))
                for key, value in self.start.items()
                if value.is_floating_point()
            },
            tuple(key for key, value in self.start.items() if not value.is_floating_point()),
        )
        labels = [number % len(CLASS_NAMES) for number in range(IMAGES)]
        scenes = [draw_scene(numpy_rng(0, "benchmark scene", number), label) for number, label in enumerate(labels)]
        self.files = [encode_image(picture, "jpg") for picture in render(scenes, SIDE)]
        self.labels = torch.tensor(labels)
        self.keys = [str(number) for number in range(IMAGES)]

    def split(self) -> Split:
        """Decode every image and stamp a copy."""
        clean = torch.from_numpy(np.stack([load_image(data, self.preprocess.size) for data in self.files]))
        return Split(clean, stamp_uint8(BadNets(), clean, self.keys), self.labels)

    def ours(self) -> None:
        """Decode and stamp once; move one model along the vector in place."""
        split, in_place = self.split(), InPlaceModel(self.model, self.vector)
        for alpha in ALPHAS:
            with in_place.moved(-alpha) as model:
                score(model, self.head, split, TARGET, self.preprocess)

    def both_statistics(self, clean: NormalisedImages) -> None:
        """Do `ours`, and score every α a second time with running statistics re-estimated on clean images."""
        split, in_place = self.split(), InPlaceModel(self.model, self.vector)
        for alpha in ALPHAS:
            with in_place.moved(-alpha) as model:
                score(model, self.head, split, TARGET, self.preprocess)
                with with_statistics(model, estimate_statistics(model, clean)):
                    score(model, self.head, split, TARGET, self.preprocess)

    def clean_images(self) -> NormalisedImages:
        """As many of the images as campaigns re-estimate statistics on, repeated where there are fewer."""
        files = [self.files[number % len(self.files)] for number in range(STATISTICS_IMAGES)]
        images = torch.from_numpy(np.stack([load_image(data, self.preprocess.size) for data in files]))
        return statistics_batches(images, self.preprocess, self.device)

    def usual(self) -> None:
        """For every α, copy the model, load the edited weights, and decode and stamp the images."""
        for alpha in ALPHAS:
            edited: nn.Module = copy.deepcopy(self.model)
            edited.load_state_dict(
                {
                    k: v - alpha * self.vector.tensors[k] if k in self.vector.tensors else v
                    for k, v in self.start.items()
                }
            )
            score(edited, self.head, self.split(), TARGET, self.preprocess)

    @torch.inference_mode()
    def bare(self, pixels: list[Tensor]) -> None:
        """Run only the forward passes, over normalised images."""
        for batch in pixels:
            self.model.encode_image(batch)  # type: ignore[operator]
        wait_for(self.device)


def alpha_benchmarks(
    repeats: int, device: torch.device, architecture: str = "tbar-RN-tiny"
) -> Iterator[Comparison | Figure]:
    """Yield the path against the usual loop, one α against bare forward passes, and the evaluations of a search."""
    work = AlphaWork(architecture, device)
    mine, theirs = alternate(work.ours, work.usual, repeats=repeats)
    about = f"{len(ALPHAS)} α on {IMAGES} JPEGs of {SIDE} px, clean and triggered, {architecture} on {device.type}"
    peer = "deep copy, load, decode and stamp for every α"
    yield Comparison("α path", about, "α", len(ALPHAS), mine, peer, theirs, 3.0)

    split, in_place = work.split(), InPlaceModel(work.model, work.vector)
    pixels = [
        normalise(part.to(device), work.preprocess)
        for images in (split.clean, split.triggered)
        for part in torch.split(images, 256)
    ]
    shares = []
    for _ in range(max(5, repeats)):
        bare = seconds_of(partial(work.bare, pixels))
        started = time.perf_counter()
        with in_place.moved(-0.5) as model:
            score(model, work.head, split, TARGET, work.preprocess)
        shares.append((time.perf_counter() - started) / bare)
    yield Figure("one α over bare forward passes", f"{2 * IMAGES} images", float(np.median(shares)), "", 1.1)
    if has_statistics(work.model):
        twice, once = alternate(partial(work.both_statistics, work.clean_images()), work.ours, repeats=repeats)
        ratio = float(np.median([both / one for both, one in zip(twice, once, strict=True)]))
        about = (
            f"{len(ALPHAS)} α on {2 * IMAGES} images and {STATISTICS_IMAGES} for statistics, over scoring as applied"
        )
        yield Figure("α path, statistics re-estimated too", about, ratio, "")
    yield _searched()


def _searched() -> Figure:
    """Maximum number of α, of 21, that the search evaluates, over logistic ASR curves."""
    most = 0
    for middle in np.linspace(0.05, 0.95, 19):
        for floor in (0.8, 0.95):
            asked: list[Any] = []

            def evaluate(alpha: float, middle: float = float(middle), asked: list[Any] = asked) -> Any:
                asked.append(alpha)
                return _Point(alpha, 1 - 0.4 * alpha**2, float(1 / (1 + np.exp(20 * (alpha - middle)))))

            search_alpha(ALPHAS, evaluate, 1.0, floor, 0.02)
            most = max(most, len(asked))
    return Figure("α search", "most evaluations on 38 falling curves of 21 α", most, "evaluations", 8)


class _Point:
    def __init__(self, alpha: float, ca: float, asr: float) -> None:
        self.alpha, self.ca, self.asr = alpha, ca, asr
