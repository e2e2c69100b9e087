"""Scanning one model of unknown origin for a backdoor: searches, verdict, target."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from torch import Tensor

from tbar_ray.api.classes import Classes
from tbar_ray.api.model import Model
from tbar_ray.api.sources import Source
from tbar_ray.data.places import resolve
from tbar_ray.data.selection import evenly_spaced
from tbar_ray.detection.calibration import Calibration, load_calibration
from tbar_ray.detection.searches import DEFAULT, Searched, applicable, most_telling, search_all
from tbar_ray.detection.verdict import judge_scores
from tbar_ray.errors import SpecError
from tbar_ray.inversion.base import Inverter
from tbar_ray.inversion.subject import LEAST_IMAGES, Subject
from tbar_ray.onemodel.examine import Watch, unwatched
from tbar_ray.onemodel.opening import Opened, open_checkpoint, opened_model
from tbar_ray.onemodel.pace import Expected, measure_pace
from tbar_ray.onemodel.pictures import SHOWN, Picture, best_answers
from tbar_ray.onemodel.scan_result import Scan
from tbar_ray.onemodel.unlabelled import Unlabelled, draw, open_unlabelled
from tbar_ray.triggers.base import stamp_uint8

JUDGED = 256
"""Further images on which the triggers that were found are judged, at most."""
WITH_GRADIENTS = 2
"""Forward passes that take as long as one with gradients of the images: those of the weights are not needed."""


def scan(
    model: Model | str | Path,
    images: Source,
    classes: Classes | Sequence[str] | None = None,
    *,
    architecture: str | None = None,
    templates: Sequence[str] | None = None,
    searches: Sequence[str] | None = None,
    calibration: str | Path | None = None,
    max_images: int | None = None,
    seed: int = 0,
    watch: Watch = unwatched,
    tell: Callable[[Expected], None] | None = None,
) -> Scan:
    """Search a model for triggers, and say whether it is infected, towards which class, and how sure that is.

    No label, trigger or target is needed, and nothing of the checkpoint is ever executed.

    Args:
        model: a model, or a checkpoint: a file, the folder of a campaign's model, or with an architecture a tag of
            open_clip. Of an image encoder alone no target can be named.
        images: clean images, as for `forget_set`; labels are not looked at.
        classes: that the model is asked about; None: those of the images, or ImageNet's where they have none.
        architecture: of a checkpoint, its open_clip name; not for a campaign's model.
        templates: prompts, with names in `classes`.
        searches: names of searches; None: `DEFAULT`, as far as the calibration knows them.
        calibration: a file of `tbar inversion calibrate`; None: the package's.
        max_images: images to search with; None: as many as the reference models were searched with.
        seed: of the choice of images and of the searches.
        watch: told how far it is.
        tell: told how long it will take, before the first search.

    Raises:
        SpecError: if the architecture or a search is unknown.
        CheckpointError: if the checkpoint is missing, refused or damaged.
        DataError: if there are too few images, or images, classes or the calibration cannot be read.
    """
    known = load_calibration(calibration)
    opened = (
        opened_model(model) if isinstance(model, Model) else open_checkpoint(model, architecture, encoder_alone=True)
    )
    chosen = _chosen(known, searches, opened)
    clean = _asked(opened, images, classes, templates)
    most = max_images or known.images
    drawn = draw(clean.samples, most + JUDGED, seed, opened.model.preprocessing)
    searched, judged = _parts(drawn.images, most)
    if tell is not None:
        tell(_expected(opened, clean.classes, chosen, len(searched), len(judged)))
    found = _search(opened, clean.classes, (searched, judged), chosen, seed, watch)
    count = len(clean.classes) if opened.text_tower else 0
    scores = {name: each.inversion.score for name, each in found.items()}
    return Scan(
        opened=opened,
        classes=clean.classes if opened.text_tower else None,
        told=clean.told,
        calibration=known,
        calibration_place=None if calibration is None else Path(resolve(calibration)),
        searches=chosen,
        found=found,
        judgement=judge_scores(known, scores, opened.model.architecture, len(searched), count),
        images=len(searched),
        judged=len(judged),
        apart=judged is not searched,
        lost=drawn.lost,
        pictures=_pictures(opened, clean.classes, judged, found),
        seed=seed,
    )


def _asked(
    opened: Opened,
    images: Source,
    classes: Classes | Sequence[str] | None,
    templates: Sequence[str] | None,
) -> Unlabelled:
    """The images, and the classes that the model is asked about; one that nobody asks about without a text tower."""
    if not opened.text_tower:
        return open_unlabelled(images, ("image",), ("{}",))
    if isinstance(classes, Classes):
        return open_unlabelled(images, classes.names, classes.templates)
    return open_unlabelled(images, classes, templates)


def _search(
    opened: Opened,
    classes: Classes,
    images: tuple[Tensor, Tensor],
    searches: Sequence[Inverter],
    seed: int,
    watch: Watch,
) -> dict[str, Searched]:
    """Run the searches on some images, and judge what they find on others."""
    with opened.model.answering(classes) as (module, head):
        shown = (head, classes.names) if opened.text_tower else (None, ())
        subject, judged = (Subject(module, opened.model.preprocessing, part, *shown) for part in images)
        return search_all(
            subject, searches, seed, judged, lambda name, step, steps: watch(f"searching ({name})", step, steps)
        )


def _chosen(calibration: Calibration, names: Sequence[str] | None, opened: Opened) -> tuple[Inverter, ...]:
    """The searches that can be run on this model."""
    default = [name for name in DEFAULT if name in calibration.searches] or list(calibration.searches)
    wanted = calibration.build(names or default)
    chosen = applicable(wanted, classes=opened.text_tower)
    if not chosen:
        listed = ", ".join(search.name for search in wanted)
        raise SpecError(
            f"{opened.source} is an image encoder alone, and {listed} needs classes: choose a search that needs images "
            "alone (`tbar inversion list`), or add a text tower with `tbar model convert --text-from`"
        )
    return chosen


def _parts(images: Tensor, most: int) -> tuple[Tensor, Tensor]:
    """Images to search with, and others to judge what is found; the same where too few are left for that."""
    searched, rest = images[:most], images[most:]
    return (searched, rest) if len(rest) >= LEAST_IMAGES else (searched, searched)


def _expected(opened: Opened, classes: Classes, searches: Sequence[Inverter], images: int, judged: int) -> Expected:
    pace = measure_pace(opened.model, classes)
    parts: dict[str, float | None] = {}
    if opened.text_tower:
        parts["class embeddings"] = len(classes) * len(classes.templates) * pace.text
    for search in searches:
        passes = search.passes(images, len(classes))
        parts[search.name] = None if passes is None else (WITH_GRADIENTS * passes + 2 * judged) * pace.image
    return Expected(parts)


def _pictures(opened: Opened, classes: Classes, images: Tensor, found: Mapping[str, Searched]) -> tuple[Picture, ...]:
    """A few images stamped with the trigger of the most telling search."""
    telling = most_telling(found)
    trigger = None if telling is None else found[telling].inversion.trigger
    if trigger is None:
        return ()
    rows = evenly_spaced(len(images), SHOWN)[:SHOWN]
    plain = images[rows]
    stamped = stamp_uint8(trigger, plain, [str(row) for row in rows])
    if not opened.text_tower:
        return tuple(Picture(image, "", ()) for image in stamped)
    answers = (best_answers(opened.model, each, classes) for each in (plain, stamped))
    return tuple(Picture(image, "", before, after) for image, before, after in zip(stamped, *answers, strict=True))
