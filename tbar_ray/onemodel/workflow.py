"""One model from its file to a cleaned file, as one function."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tbar_ray.api.sources import Source
from tbar_ray.errors import DataError, NoBackdoorError, SpecError
from tbar_ray.onemodel.defence import open_defence
from tbar_ray.onemodel.examine import Examined, Watch, examine, unwatched
from tbar_ray.onemodel.opening import Opened, open_checkpoint
from tbar_ray.onemodel.pace import Expected
from tbar_ray.onemodel.remove import Cleaned, remove
from tbar_ray.onemodel.settings import CleaningSettings
from tbar_ray.onemodel.suspect import Suspect, suspect
from tbar_ray.onemodel.verdict import rate_text


def examine_checkpoint(
    checkpoint: str | Path,
    architecture: str | None = None,
    *,
    text_from: str | None = None,
    images: Source,
    trigger: str | Suspect | None = None,
    target: str | None = None,
    trigger_parameters: Mapping[str, Any] | None = None,
    evaluation: str | Path | None = None,
    classes: Sequence[str] | None = None,
    templates: Sequence[str] | None = None,
    retrieval: Sequence[str] = (),
    settings: CleaningSettings | None = None,
    watch: Watch = unwatched,
    tell: Callable[[Expected], None] | None = None,
) -> Examined:
    """Examine a suspicious model: open everything, and measure it with the suspected trigger.

    Args:
        checkpoint: a file, the folder of a campaign's model, or with an architecture a tag of open_clip.
        architecture: its open_clip name; None for a campaign's model, or a folder that states it.
        text_from: where the text tower of an image encoder alone comes from, as for `load_model`.
        images: clean images to unlearn with, as for `forget_set`.
        trigger: as for `suspect`; None: what the manifest of a campaign's model says.
        target: the class that it leads to.
        trigger_parameters: of the trigger.
        evaluation: labelled images; None: derived from `images` (`open_defence`).
        classes: class names, where the data have none.
        templates: prompts with `{}` or `{c}` for the class.
        retrieval: retrieval sets to measure both models on.
        settings: how the model will be cleaned.
        watch: told how far it is.
        tell: told how long cleaning will take.

    Raises:
        SpecError: if something that is needed was not given, or is unknown.
        CheckpointError: if the checkpoint is missing, refused or damaged.
        DataError: if images, classes or the trigger's picture do not suffice, or a trigger was found in another file.
    """
    chosen = settings or CleaningSettings()
    opened = open_checkpoint(checkpoint, architecture, text_from=text_from)
    named = _suspect(opened, trigger, target, trigger_parameters, chosen.seed)
    defence = open_defence(
        images,
        evaluation,
        opened.model,
        classes=classes,
        templates=templates,
        most=chosen.max_images,
        seed=chosen.seed,
    )
    return examine(opened, named, defence, chosen, retrieval=retrieval, watch=watch, tell=tell)


def clean_checkpoint(examined: Examined, *, force: bool = False, watch: Watch = unwatched) -> Cleaned:
    """Remove the backdoor of an examined model.

    Args:
        examined: from `examine_checkpoint`; its model is changed in place.
        force: clean a model in which no backdoor was found, too.
        watch: told how far it is.

    Raises:
        NoBackdoorError: if no backdoor was found.
        ScientificError: if the method fails, or no α keeps enough CA.
    """
    if not examined.backdoored and not force:
        raise NoBackdoorError(refusal(examined))
    return remove(examined, watch=watch)


def refusal(examined: Examined) -> str:
    """One line that says why a model is not cleaned."""
    asr = examined.asr
    return (
        f"{examined.opened.source}: no backdoor was found under this trigger: {rate_text(asr)} of {asr.n:,} stamped "
        f"images are answered with {examined.backdoor.target!r}, less than --min-asr {examined.settings.min_asr:g}; "
        "nothing was changed: check trigger and target, or clean it all the same with --force"
    )


def _suspect(
    opened: Opened,
    trigger: str | Suspect | None,
    target: str | None,
    parameters: Mapping[str, Any] | None,
    seed: int,
) -> Suspect:
    if isinstance(trigger, Suspect):
        _require_same(opened, trigger)
        return trigger
    if trigger is None and opened.campaign is not None:
        trigger = str(opened.campaign)
    if trigger is None:
        raise SpecError(
            "give the suspected trigger: --trigger with a name of `tbar trigger list`, a picture, or the folder of a "
            "campaign's infected model; without any idea of it, search for one with `tbar scan`, and give its folder "
            "with --from-scan"
        )
    return suspect(trigger, target, parameters, seed=seed)


def _require_same(opened: Opened, found: Suspect) -> None:
    """Refuse a trigger that was found in another file."""
    if found.sha256 is not None and opened.facts is not None and found.sha256 != opened.facts.sha256:
        raise DataError(
            f"{opened.source} is not the file that was scanned: its SHA-256 is {opened.facts.sha256[:12]}…, that of "
            f"the scanned one {found.sha256[:12]}…; scan this one with `tbar scan`"
        )
