"""The suspected trigger and target, as a person names them: a preset, a picture, or what a campaign planted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tbar_ray.api.backdoor import Backdoor
from tbar_ray.api.triggers import list_triggers, trigger
from tbar_ray.data.folder import SUFFIXES
from tbar_ray.data.places import is_file, is_folder, resolve
from tbar_ray.data.poison_manifest import MANIFEST, PlantedPoison, read_manifest
from tbar_ray.errors import DataError, SpecError

KINDS = ("patch", "blend")
"""What a picture may be: a patch in a corner, or blended over the whole image."""


@dataclass(frozen=True)
class Suspect:
    """A suspected backdoor.

    Attributes:
        backdoor: trigger and target.
        origin: where it comes from, in words.
        searched: whether a search found the trigger.
        sha256: of the checkpoint that it was found in; None where it was not, or not in a file.
    """

    backdoor: Backdoor
    origin: str
    searched: bool = False
    sha256: str | None = None


def suspect(
    named: str, target: str | None = None, parameters: Mapping[str, Any] | None = None, *, seed: int = 0
) -> Suspect:
    """Make a backdoor from what a person knows of it.

    Args:
        named: a preset or trigger of `tbar trigger list`; a picture, as `FILE` or `patch:FILE` (a patch) or
            `blend:FILE`; or the folder of a campaign's infected model, whose manifest says what was planted.
        target: the class that the trigger leads to; None: what the manifest says.
        parameters: of the trigger, such as `patch_size` or `ratio`.
        seed: of the trigger's pattern and draws; a manifest has its own.

    Raises:
        SpecError: if the trigger, a parameter or the target is unknown.
        DataError: if the picture or the manifest cannot be read.
    """
    given = dict(parameters or {})
    if is_folder(folder := Path(resolve(named))):
        return _planted(folder, target, given)
    if target is None:
        raise SpecError("give the target too: the class with which the model answers the trigger (--target)")
    kind, colon, picture = named.partition(":")
    if colon and kind in KINDS:
        stamped = trigger(kind, image=resolve(picture), seed=seed, **given)
        return Suspect(Backdoor(stamped, target), f"the picture {Path(picture).name}, as a {kind}")
    if Path(named).suffix.lower() in SUFFIXES or is_file(resolve(named)):
        stamped = trigger("patch", image=resolve(named), seed=seed, **given)
        return Suspect(Backdoor(stamped, target), f"the picture {Path(named).name}, as a patch")
    stamped = trigger(named, seed=seed, **given)
    what = "the preset" if named in list_triggers() and "/" in named else "the trigger"
    return Suspect(Backdoor(stamped, target), f"{what} {named}")


def _planted(folder: Path, target: str | None, parameters: Mapping[str, Any]) -> Suspect:
    if not is_file(folder / MANIFEST):
        raise DataError(
            f"{folder} has no {MANIFEST}: name a trigger, a picture, or the folder of a campaign's infected model"
        )
    planted = [each for each in read_manifest(folder) if target in (None, each.plan.target)]
    if len(planted) != 1:
        raise SpecError(f"{folder}: {_choice(planted, folder, target)}")
    (one,) = planted
    fields = {key: value for key, value in one.trigger.items() if key != "name"}
    stamped = trigger(str(one.trigger["name"]), **{**fields, **parameters})
    return Suspect(Backdoor(stamped, one.plan.target), f"the trigger {stamped.name} of {folder.name}'s manifest")


def _choice(planted: list[PlantedPoison], folder: Path, target: str | None) -> str:
    known = read_manifest(folder)
    targets = ", ".join(sorted({repr(each.plan.target) for each in known}))
    if not planted:
        return f"nothing leads to {target!r} there; planted are {targets}"
    if len({each.plan.target for each in planted}) > 1:
        return f"several backdoors were planted; choose one by its target ({targets})"
    names = ", ".join(str(each.trigger["name"]) for each in planted)
    return f"several backdoors lead to {planted[0].plan.target!r} ({names}); name the trigger instead of the folder"
