"""What stands in for a campaign's data and weights in a rehearsal: small sets in the same layouts, random weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, product
from pathlib import Path

from tbar_ray.data.benchmark_layout import read_lines
from tbar_ray.data.class_names import find_class
from tbar_ray.data.layout import CLASSNAMES, SPLITS, TEMPLATES
from tbar_ray.data.places import resolve
from tbar_ray.data.raw.direct import is_raw
from tbar_ray.data.synthetic.stand_in import Classes, write_captioned, write_labelled, write_pairs
from tbar_ray.errors import DataError, SpecError
from tbar_ray.models.architectures import image_size
from tbar_ray.planning.pair_labels import have_labels
from tbar_ray.planning.raw_material import imported_set, is_raw_task
from tbar_ray.spec.campaign import CampaignSpec
from tbar_ray.spec.data import Data, TaskSpec

PAIRS = 64
"""Pairs of a corpus: trainings, forget sets, defenders and searches for a trigger draw from it."""
CLASSES = 4
"""Classes of a labelled set, if no more are targets: a thousand in a few prompts take minutes of a CPU."""
TASK = 16
"""Images of a task and split, or one of each class where there are more: all of them are trained on."""
PER_CLASS = 3
"""Images of a class and split."""
RETRIEVAL = 4
"""Images of a retrieval set."""
PROMPTS = ("a photo of a {c}.", "a picture of a {c}.")
OF_IMAGENET = frozenset({"imagenet", "imagenet1k", "wdsimagenet1k", "wdsimagenet"})
"""Names of ImageNet-1K's folder, without signs and case: its thousand classes are known without it."""


@dataclass(frozen=True)
class StandIns:
    """The sets and weights of a rehearsal, under one folder.

    Attributes:
        folder: where they are, or will be.
        size: side of the images in pixels: larger than the model's, so that they are resized.
        evaluation: classes of pairs, evaluation and retrieval set.
        tasks: classes of each task that is given by URL.
        architectures: models whose weights stand in for others.
        labelled: whether the real pairs have labels, as far as they can be read.
        task_images: images of a split of a task: more where a search for a trigger draws from it.
        given: whether infected models are given.
    """

    folder: Path
    size: int
    evaluation: Classes
    tasks: Mapping[str, Classes]
    architectures: tuple[str, ...]
    labelled: bool
    task_images: int = TASK
    given: bool = False

    @classmethod
    def of(cls, specs: Sequence[CampaignSpec], folder: Path) -> StandIns:
        """What stands in for the data and weights of some trials.

        Args:
            specs: specs of the trials, all of one campaign.
            folder: where the sets will be.

        Raises:
            SpecError: if a target is none of the classes of its set, where these are known.
        """
        spec = specs[0]
        tasks = {name: _classes(specs, name, task.url) for name, task in spec.tasks.items() if task.url is not None}
        architectures = tuple(dict.fromkeys(each.model.architecture for each in specs))
        return cls(
            folder=folder,
            size=max(map(image_size, architectures)) * 8 // 7,
            evaluation=_classes(specs, None, spec.data.evaluation),
            tasks=tasks,
            architectures=architectures,
            labelled=bool(have_labels(spec.data)),
            task_images=PAIRS if any(each.defender.inversion for each in specs) else TASK,
            given=any(attack.infected for attack in spec.attacks.values()),
        )

    def weights(self, architecture: str) -> str:
        """The file of an architecture's random weights."""
        return str(self.folder / "weights" / f"{architecture}.safetensors")

    def infected(self, architecture: str) -> str:
        """The file of other random weights, which stand in for a given infected model."""
        return str(self.folder / "weights" / f"{architecture}-infected.safetensors")

    def data(self, data: Data) -> Data:
        """The section with the stand-ins in place of given sets."""
        if data.synthetic is not None:
            return data
        train = self._train(data)
        named = {
            "train": train[0] if isinstance(data.train, str) else self._weighted(data, train),
            "subset": None,
            "evaluation": str(self.folder / "evaluation"),
            "retrieval": None if data.retrieval is None else str(self.folder / "retrieval"),
        }
        return data.model_copy(update=named)

    def task(self, name: str, task: TaskSpec) -> TaskSpec:
        """A task with its stand-in in place of a given set."""
        return task if task.url is None else task.model_copy(update={"url": str(self.folder / "tasks" / name)})

    def write(self, data: Data) -> None:
        """Write the sets.

        Args:
            data: the campaign's section.

        Raises:
            DataError: if a set cannot be written.
        """
        if data.synthetic is None:
            for pattern in self._train(data):
                write_pairs(Path(pattern).parent, self.evaluation, self.size, PAIRS, labelled=self.labelled)
            write_labelled(self.folder / "evaluation", self.evaluation, self.size, PER_CLASS)
            if data.retrieval is not None:
                write_captioned(self.folder / "retrieval", self.evaluation, self.size, RETRIEVAL)
        for name, classes in self.tasks.items():
            each = -(-self.task_images // len(classes.names))
            write_labelled(self.folder / "tasks" / name, classes, self.size, each, SPLITS)

    def write_weights(self, *, empty: bool = False) -> None:
        """Write the weights.

        Args:
            empty: write files without any, which suffices for a plan.

        Raises:
            CheckpointError: if they cannot be written.
        """
        from tbar_ray.models.checkpoint import CheckpointFormat, save_checkpoint
        from tbar_ray.models.factory import create_model

        files = [self.weights, self.infected] if self.given else [self.weights]
        for architecture, (seed, file) in product(self.architectures, enumerate(files)):
            path = Path(file(architecture))
            path.parent.mkdir(parents=True, exist_ok=True)
            if empty:
                path.touch()
            else:
                save_checkpoint(create_model(architecture, seed=seed).state_dict(), path, CheckpointFormat(True))

    def _train(self, data: Data) -> list[str]:
        """Patterns of the shards that stand in for each corpus."""
        corpora = 1 if isinstance(data.train, str) else len(data.train or ())
        return [f"{self.folder}/train-{number}/{{00000..00001}}.tar" for number in range(corpora)]

    def _weighted(self, data: Data, patterns: Sequence[str]) -> list[object]:
        assert isinstance(data.train, list)
        return [
            part.model_copy(update={"url": pattern, "subset": None})
            for part, pattern in zip(data.train, patterns, strict=True)
        ]


def known_classes(place: str) -> tuple[str, ...] | None:
    """Class names of a set: its own if it can be read, ImageNet's for a set of that name; None if they are unknown."""
    if is_raw_task(place) or is_raw(place):
        return imported_set(place, None, "warn").classnames
    try:
        return tuple(read_lines(place, CLASSNAMES))
    except DataError:
        name = resolve(place).partition("?")[0].rstrip("/").rsplit("/", 1)[-1]
        if "".join(sign for sign in name.lower() if sign.isalnum()) not in OF_IMAGENET:
            return None
    from tbar_ray.models.library import open_clip

    return tuple(open_clip().IMAGENET_CLASSNAMES)


def _classes(specs: Sequence[CampaignSpec], task: str | None, place: str | None) -> Classes:
    """Targets of a set's attacks, and further classes of it, or invented ones."""
    wanted = {name: attack.target for spec in specs for name, attack in spec.attacks.items() if attack.task == task}
    known = None if place is None else known_classes(place)
    what = task or "thing"
    if known is not None:
        for name, target in wanted.items():
            try:
                find_class(target, known)
            except DataError as error:
                raise SpecError(f"attacks.{name}.target: {error}") from None
    targets = tuple(dict.fromkeys(wanted.values()))
    others = known or tuple(f"invented {what} {number}" for number in range(1, CLASSES + 1))
    further = islice((name for name in others if name not in targets), max(2, CLASSES - len(targets)))
    return Classes((*targets, *further), _prompts(place))


def _prompts(place: str | None) -> tuple[str, ...]:
    """The first templates of a set, or usual ones."""
    try:
        return PROMPTS if place is None else tuple(read_lines(place, TEMPLATES)[: len(PROMPTS)])
    except DataError:
        return PROMPTS
