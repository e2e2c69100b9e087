"""Whether a model has the suspected backdoor: its scores before anything is changed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from tbar_ray.api.backdoor import Backdoor
from tbar_ray.api.images import Images
from tbar_ray.errors import DataError
from tbar_ray.evaluation.rates import Rate
from tbar_ray.evaluation.scores import Split
from tbar_ray.models.factory import Preprocessing
from tbar_ray.models.statistics import has_statistics
from tbar_ray.onemodel.defence import Defence
from tbar_ray.onemodel.measure import Measurement, measure, measure_retrieval
from tbar_ray.onemodel.opening import Opened
from tbar_ray.onemodel.pace import Expected, expected, measure_pace
from tbar_ray.onemodel.pictures import Picture, best_answers, stamped_rows
from tbar_ray.onemodel.settings import CleaningSettings
from tbar_ray.onemodel.suspect import Suspect
from tbar_ray.triggers.base import Trigger
from tbar_ray.unlearning.alpha_walk import DEFAULT_ALPHAS
from tbar_ray.unlearning.base import Unlearner
from tbar_ray.unlearning.registry import build_unlearner

Watch = Callable[[str, int, int], None]
"""Called with what is being done, how many parts of it are done, and how many there are."""


def unwatched(what: str, done: int, total: int) -> None:
    """Tell nobody."""


@dataclass(frozen=True, eq=False)
class LoadedImages(Images):
    """Images that are decoded and stamped already, since they are scored several times."""

    loaded: Split
    of_trigger: Trigger
    of_preprocess: Preprocessing

    @classmethod
    def of(cls, images: Images, trigger: Trigger, preprocess: Preprocessing) -> LoadedImages:
        """Decode and stamp images for one model."""
        loaded = images.load(trigger, preprocess)
        return cls(images.data, images.positions, images.classes, loaded, trigger, preprocess)

    def load(self, trigger: Trigger, preprocess: Preprocessing) -> Split:
        """The images that were decoded; decoded again for another trigger or size."""
        if (trigger, preprocess) != (self.of_trigger, self.of_preprocess):
            return super().load(trigger, preprocess)
        return self.loaded


@dataclass(frozen=True, eq=False)
class Examined:
    """A suspicious model before cleaning.

    Attributes:
        opened: the checkpoint.
        suspect: trigger and target.
        defence: the person's images.
        settings: how it will be cleaned.
        method: the unlearning method.
        validation, test: the labelled images that α is chosen on, and those that are reported.
        gate: scores on validation, by which the model counts as backdoored.
        before: scores on test.
        pictures: stamped test images with the model's answers.
        retrieval: rates by retrieval set, as the user names it.
        expected: seconds that cleaning will take.
    """

    opened: Opened
    suspect: Suspect
    defence: Defence
    settings: CleaningSettings
    method: Unlearner
    validation: LoadedImages
    test: LoadedImages
    gate: Measurement
    before: Measurement
    pictures: tuple[Picture, ...]
    expected: Expected
    retrieval: Mapping[str, Mapping[str, Rate]] = field(default_factory=dict)

    @property
    def backdoor(self) -> Backdoor:
        """The suspected backdoor."""
        return self.suspect.backdoor

    @property
    def asr(self) -> Rate:
        """ASR on validation images."""
        assert self.gate.asr is not None
        return self.gate.asr

    @property
    def backdoored(self) -> bool:
        """Whether the trigger leads to the target often enough to be a backdoor."""
        return self.asr.value >= self.settings.min_asr


def examine(
    opened: Opened,
    suspect: Suspect,
    defence: Defence,
    settings: CleaningSettings,
    *,
    retrieval: Sequence[str] = (),
    watch: Watch = unwatched,
    tell: Callable[[Expected], None] | None = None,
) -> Examined:
    """Measure a suspicious model with the suspected trigger. Nothing is changed.

    Args:
        opened: the checkpoint.
        suspect: trigger and target.
        defence: the person's images.
        settings: how it will be cleaned.
        retrieval: retrieval sets to measure it on.
        watch: told how far it is.
        tell: told how long cleaning will take, before the first score.

    Raises:
        DataError: if the target is no class, or the images do not suffice.
        SpecError: if the method or a parameter is unknown.
    """
    model, backdoor = opened.model, suspect.backdoor
    target = defence.evaluation.classes.index(backdoor.target)
    method = _method(settings)
    parts = _split(defence.evaluation, settings)
    pace = measure_pace(model, defence.evaluation.classes)
    told = expected(
        pace,
        method,
        forget=settings.forget,
        validation=len(parts[0]),
        test=len(parts[1]),
        prompts=len(defence.evaluation.classes) * len(defence.evaluation.classes.templates),
        alphas=len(settings.alphas or (DEFAULT_ALPHAS if method.strength == "negation" else (1.0,))),
        reestimated=has_statistics(model.module) and settings.statistics == "reestimated",
    )
    if tell is not None:
        tell(told)
    watch("reading and scoring the images", 0, 2)
    validation = LoadedImages.of(parts[0], backdoor.trigger, model.preprocessing)
    gate = measure(model, validation, backdoor)
    watch("reading and scoring the images", 1, 2)
    test = LoadedImages.of(parts[1], backdoor.trigger, model.preprocessing)
    before = measure(model, test, backdoor)
    rows = stamped_rows(test.loaded, target)
    images, classes = test.loaded.triggered[rows], test.classes
    shown = tuple(
        Picture(image, classes.names[int(test.loaded.labels[row])], answers)
        for image, row, answers in zip(images, rows, best_answers(model, images, classes), strict=True)
    )
    watch("reading and scoring the images", 2, 2)
    rates = {url: measure_retrieval(model, url, backdoor) for url in retrieval}
    return Examined(
        opened, suspect, defence, settings, method, validation, test, gate, before, shown, told, rates
    )  # fmt: skip


def _method(settings: CleaningSettings) -> Unlearner:
    method = build_unlearner(settings.method, settings.parameters)
    if "training pairs" in method.needs:
        raise DataError(
            f"{method.name} needs the attacker's training pairs, which one checkpoint does not bring; choose another "
            "method, or call tbar.estimate with training=pairs(…)"
        )
    return method


def _split(images: Images, settings: CleaningSettings) -> tuple[Images, Images]:
    return images.split(settings.validation_fraction, seed=settings.seed, max_images=settings.max_images)
