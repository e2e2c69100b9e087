"""Opening a checkpoint of unknown origin, with the evidence for how it is used."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

import torch

from tbar_ray.api.artifacts import COMMIT, WEIGHTS
from tbar_ray.api.model import Model, load_model
from tbar_ray.data.places import is_file, is_folder, resolve
from tbar_ray.data.poison_manifest import MANIFEST
from tbar_ray.errors import CheckpointError, SpecError
from tbar_ray.models.architectures import architecture_config
from tbar_ray.models.checkpoint import is_weights_file, load_checkpoint
from tbar_ray.models.factory import create_model, load_file, weights_file
from tbar_ray.models.formats.evidence import Evidence as FileEvidence
from tbar_ray.models.formats.folders import is_checkpoint_folder, weights_in
from tbar_ray.models.inspection.guess import IMAGE
from tbar_ray.redaction import redact

YOU = "you said so"
"""Why something is taken to be so that the user said."""
BLOCK = 1 << 22
"""Bytes of a file that are hashed at once."""


@dataclass(frozen=True)
class Evidence:
    """One thing that the model's use rests on, and why it is taken to be so."""

    name: str
    value: str
    why: str


@dataclass(frozen=True)
class FileFacts:
    """A file by its content: name, bytes, SHA-256."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True, eq=False)
class Opened:
    """A checkpoint that was read.

    Attributes:
        model: the model, in evaluation mode.
        source: what the user named, without secrets.
        file: the local file of its weights, or the folder of an open_clip or transformers model; None for one of
            open_clip's tags.
        facts: of this file, or of the folder's weights; None without one.
        evidence: how it is used, line by line.
        campaign: folder of the campaign's model that it is, with its manifest of poisoned samples; else None.
        text_tower: whether it has one; that of the model is random else.
    """

    model: Model
    source: str
    file: Path | None
    facts: FileFacts | None
    evidence: tuple[Evidence, ...]
    campaign: Path | None = None
    text_tower: bool = True


def open_checkpoint(
    checkpoint: str | Path,
    architecture: str | None = None,
    *,
    text_from: str | None = None,
    device: torch.device | str | None = None,
    encoder_alone: bool = False,
) -> Opened:
    """Read a checkpoint and see whether it can be used at all.

    Args:
        checkpoint: a file, the folder of a campaign's model, or with an architecture a tag of open_clip.
        architecture: its open_clip name; None: what a campaign's folder, or one of open_clip or transformers, says.
        text_from: where the text tower of an image encoder alone comes from, as for `load_model`.
        device: where the model goes; None for a GPU where there is one.
        encoder_alone: whether an image encoder without a text tower will do.

    Raises:
        SpecError: if the architecture is not known.
        CheckpointError: if the file is missing, refused or damaged, does not fit, or holds NaN or infinity.
    """
    folder = _campaign_folder(checkpoint)
    states_it = folder is not None or is_checkpoint_folder(resolve(checkpoint))
    if architecture is None and not states_it:
        if is_weights_file(checkpoint) and not weights_file(checkpoint).exists():
            raise CheckpointError(f"no checkpoint at {redact(str(checkpoint))}")
        named = redact(str(checkpoint))
        raise SpecError(
            f"{named}: give its architecture too, e.g. --architecture ViT-B-32; `tbar model inspect {named}` lists "
            "those that fit"
        )
    text_tower = True
    if architecture is None:
        model = load_model(checkpoint, text_from=text_from, device=device)
    elif (
        encoder_alone
        and text_from is None
        and is_weights_file(checkpoint)
        and _is_encoder_alone(weights_file(checkpoint))
    ):
        model, text_tower = _load_encoder(weights_file(checkpoint), architecture, device), False
    else:
        inside = folder is not None and is_folder(resolve(checkpoint))
        weights = Path(resolve(checkpoint)) / WEIGHTS if inside else checkpoint
        model = load_model(architecture, weights, text_from=text_from, device=device)
    file = folder / WEIGHTS if folder is not None else None
    if folder is None and is_weights_file(checkpoint):
        file = weights_file(checkpoint)
    planted = folder if folder is not None and (folder / MANIFEST).is_file() else None
    facts = None if file is None else file_facts(file)
    by = YOU if architecture is not None else _stated_by(model, folder)
    told = _evidence(model, by, of_file=file is not None, text_tower=text_tower, text_from=text_from)
    return Opened(model, redact(str(checkpoint)), file, facts, told, planted, text_tower)


def opened_model(model: Model) -> Opened:
    """A model that was loaded already, as if it had been opened."""
    return Opened(model, repr(model), None, None, _evidence(model, YOU, of_file=False))


def file_facts(path: Path) -> FileFacts:
    """Name, bytes and SHA-256 of a file; of a checkpoint's folder, of its weights (or of the list of their files)."""
    path = weights_in(path) if path.is_dir() else path
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
    return FileFacts(path.name, path.stat().st_size, digest.hexdigest())


def _campaign_folder(checkpoint: str | Path) -> Path | None:
    """The folder of a campaign's model that a path names, itself or by the weights in it."""
    place = Path(resolve(checkpoint))
    folder = place if is_folder(place) else place.parent
    named = is_folder(place) or place.name == WEIGHTS
    return folder if named and is_file(folder / COMMIT) else None


def _stated_by(model: Model, folder: Path | None) -> str:
    """Who says the architecture of a model of which the user does not."""
    return "the campaign's record says so" if folder is not None or model.form is None else model.form.evidence.because


def _is_encoder_alone(path: Path) -> bool:
    state, _ = load_checkpoint(path, mapped=True)
    return all(name.startswith(IMAGE) for name in state)


def _load_encoder(path: Path, architecture: str, device: torch.device | str | None) -> Model:
    """A model with the image encoder of a file and a random text tower, which nobody may ask."""
    module = create_model(architecture, device=device or ("cuda" if torch.cuda.is_available() else "cpu"))
    text = {name: value for name, value in module.state_dict().items() if not name.startswith(IMAGE)}
    return Model(module.eval(), architecture, form=load_file(module, path, architecture, text=text))


def _evidence(
    model: Model, by: str, *, of_file: bool, text_tower: bool = True, text_from: str | None = None
) -> tuple[Evidence, ...]:
    count = sum(text_tower or name.startswith(IMAGE) for name in model.module.state_dict())
    fits = f"{by}, and all {count} tensors fit by name and shape" if of_file else by
    quick = bool(architecture_config(model.architecture).get("quick_gelu"))
    seen, told = model.preprocessing, FileEvidence() if model.form is None else model.form.evidence
    mean, std = (", ".join(f"{value:.3f}" for value in values) for values in (seen.mean, seen.std))
    without = Evidence("text tower", "none", "the file holds an image encoder alone: no class can be asked about")
    return (
        Evidence("architecture", model.architecture, fits),
        Evidence(
            "activation",
            "QuickGELU" if quick else "GELU",
            told.because
            if told.quick_gelu is not None
            else "as the architecture has it; weights do not tell: if CA is far too low, try the architecture "
            + ("without" if quick else "with")
            + " -quickgelu",
        ),
        Evidence(
            "normalisation",
            f"mean {mean}; std {std}",
            told.because if told.normalisation is not None else "as the architecture has it; weights do not tell",
        ),
        Evidence("images", f"{seen.size} px, {seen.interpolation}", "as the architecture has it"),
        *([] if text_from is None else [Evidence("text tower", redact(text_from), f"{YOU}: the file has none")]),
        *(() if text_tower else (without,)),
    )
