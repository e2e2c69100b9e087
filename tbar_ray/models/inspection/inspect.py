"""Inspecting a checkpoint: one pass over its headers, one over its numbers, one over its bytes."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from tbar_ray.errors import CheckpointError
from tbar_ray.models.agreement import name_of
from tbar_ray.models.formats.evidence import Evidence
from tbar_ray.models.formats.folders import weights_in
from tbar_ray.models.formats.names import mixed_prefix, told_names
from tbar_ray.models.formats.registry import recognise
from tbar_ray.models.inspection.clues import Clue, clues
from tbar_ray.models.inspection.finite import not_finite
from tbar_ray.models.inspection.gather import Gathered, gather
from tbar_ray.models.inspection.guess import Fit, Guess, guess_architecture

UNKNOWN = "cannot be told"


@dataclass(frozen=True)
class Inspection:
    """What can be told of a checkpoint.

    Attributes:
        path: its file or folder.
        container: what kind of file it is.
        size: its bytes; of weights in several files those of all.
        sha256: of the file of the weights; of several files of each, by name.
        problems: what is wrong with it, one line each; loading refuses it if there is any.
        unexpected_names: functions and classes that its pickle would call; they were not.
        format: whose format it is; None where no tensors were found.
        entries: where its state dict is.
        prefix: what stands before every name.
        tensors: how many there are.
        parameters: numbers in them, counters left out.
        dtypes: tensors by type.
        left_out: tensors and numbers that are no part of the model.
        guess: the architectures that fit.
        clues: which tensors tell what of the architecture.
        evidence: what the file says of activation, heads and normalisation.
        not_finite: NaN and infinities by tensor.
        checked: whether these could be counted.
    """

    path: str
    container: str
    size: int
    sha256: Mapping[str, str]
    problems: tuple[str, ...] = ()
    unexpected_names: tuple[str, ...] = ()
    format: str | None = None
    entries: tuple[str, ...] = ()
    prefix: str = ""
    tensors: int = 0
    parameters: int = 0
    dtypes: Mapping[str, int] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()
    guess: Guess = field(default_factory=lambda: Guess((), None, Fit()))
    clues: tuple[Clue, ...] = ()
    evidence: Evidence = field(default_factory=Evidence)
    not_finite: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    checked: bool = False

    @property
    def activation(self) -> str:
        """QuickGELU or GELU and why, or that it cannot be told."""
        quick = self.evidence.quick_gelu
        if quick is not None:
            return f"{'QuickGELU' if quick else 'GELU'} ({self.evidence.because})"
        return f"{UNKNOWN} from weights: name ARCHITECTURE, or ARCHITECTURE-quickgelu as OpenAI's"

    @property
    def normalisation(self) -> str:
        """How images are normalised and why, or that it cannot be told."""
        found = self.evidence.normalisation
        if found is None:
            return f"{UNKNOWN} from weights; CLIP's is assumed, name ARCHITECTURE@imagenet or @unnormalised for another"
        known = f"{name}: " if (name := name_of(found)) else ""
        return f"{known}mean {list(found.mean)}, deviation {list(found.std)} ({self.evidence.because})"

    def to_dict(self) -> dict[str, Any]:
        """The same as plain JSON."""
        return {**asdict(self), "activation": self.activation, "normalisation": self.normalisation}


def look_at(path: Path) -> Inspection:
    """Tell what headers say: neither the numbers nor the hash, which take a pass over the file.

    Raises:
        CheckpointError: if there is no such file, or it is plainly no checkpoint (a tar, a web page).
    """
    return _looked_at(path)[0]


def inspect_checkpoint(path: Path) -> Inspection:
    """Tell what a file or folder is. Nothing of it is run; broken files are told as far as they can be read.

    Raises:
        CheckpointError: as `look_at`.
    """
    inspection, gathered = _looked_at(path)
    try:
        hashes = {file.name: _hash(file) for file in gathered.contents}
        special = {
            name: count
            for file, tensors in gathered.tensors.items()
            for name, count in not_finite(file, tensors).items()
        }
    except OSError as error:
        raise CheckpointError(f"cannot read {path}: {error.strerror or error}") from None
    if special:
        inspection = _also(inspection, f"{len(special)} tensors hold NaN or infinity (e.g. {min(special)})")
    checked = all(info.start is not None for tensors in gathered.tensors.values() for info in tensors.values())
    return replace(inspection, sha256=hashes, not_finite=special, checked=checked and inspection.tensors > 0)


def _looked_at(path: Path) -> tuple[Inspection, Gathered]:
    try:
        gathered = gather(weights_in(path) if path.is_dir() else path)
        size = sum(file.stat().st_size for file in gathered.contents)
    except OSError as error:
        raise CheckpointError(f"cannot read {path}: {error.strerror or error}") from None
    container = next(iter(gathered.contents.values())).container
    problems = gathered.problems
    if names := gathered.unexpected:
        called = f"its pickle would call {told_names(names)}, which no checkpoint needs: loading refuses it"
        problems = (called, *problems)
    inspection = Inspection(str(path), container, size, {}, problems, names)
    return _interpreted(inspection, gathered), gathered


def _interpreted(inspection: Inspection, gathered: Gathered) -> Inspection:
    """Add what names and shapes tell."""
    names, found = gathered.names, gathered.found
    if names is None or found is None:
        return inspection
    kind = recognise(found)
    layout = kind.layout(found)
    own = {name: info for name, info in names.tensors.items() if layout.is_part(name)}
    evidence = Evidence()
    try:
        evidence = kind.evidence(found)
    except CheckpointError as error:
        inspection = _also(inspection, str(error))
    if (mixed := mixed_prefix(own)) is not None:
        inspection = _also(inspection, f"{mixed[1]} of {len(own)} names begin with {mixed[0]!r} and the others do not")
    return replace(
        inspection,
        format=kind.name,
        entries=found.entries,
        prefix=names.prefix,
        tensors=len(own),
        parameters=sum(info.count for info in own.values() if "float" in info.dtype),
        dtypes=dict(Counter(info.dtype for info in own.values())),
        left_out=(*names.others, *(names.written[name] for name in names.tensors if name not in own)),
        guess=guess_architecture(own, layout, evidence),
        clues=tuple(clues({name.removeprefix(layout.model): info for name, info in own.items()})),
        evidence=evidence,
    )


def _also(inspection: Inspection, problem: str) -> Inspection:
    return replace(inspection, problems=(*inspection.problems, problem))


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
