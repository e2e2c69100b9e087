"""Arithmetic on checkpoints, a tensor at a time: θ_b − α·τ, and θ + Σ w·τ. The result is written in the format of θ."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from safetensors import SafetensorError
from torch import Tensor

from tbar_ray.errors import CheckpointError
from tbar_ray.models.checkpoint import CheckpointFormat, load_safetensors, prepare_folder, save_checkpoint
from tbar_ray.models.formats.reading import told_of
from tbar_ray.models.formats.streamed import append, pieces, safetensors_stream
from tbar_ray.models.lazy_checkpoint import LazyCheckpoint
from tbar_ray.models.merging import is_statistic
from tbar_ray.models.task_vector import UNMOVED, State, TaskVector, require_alike

StatisticsOfFiles = Literal["moved", "kept"]
Change = Callable[[str, Sequence[Tensor]], Tensor]
"""From a tensor's name and its pieces in the base and the others to the piece of the result."""


@dataclass(frozen=True)
class Addition:
    """What a merge adds, and how often.

    Attributes:
        path: a model of the same architecture, of which the difference to the base is taken; or a task vector as
            campaigns write it (`vector.safetensors`).
        weight: its factor.
    """

    path: Path
    weight: float


def negate(
    infected: Path, triggered: Path, out: Path, *, alpha: float, statistics: StatisticsOfFiles = "moved"
) -> list[str]:
    """Write θ_b − α·(θ_triggered − θ_b); return the tensors that changed.

    Integer buffers, and tensors that are alike in both files, keep their bits.

    Args:
        infected: the model θ_b.
        triggered: θ_b, fine-tuned on triggered images.
        out: the file or folder to write, of the format of `infected`.
        alpha: the strength α.
        statistics: of BatchNorm: "moved" along with the weights, as a campaign scores them as applied, or "kept".

    Raises:
        CheckpointError: if a checkpoint is refused, names, shapes or types differ, a variance would become negative, or
            the result cannot be written.
    """
    base, other = LazyCheckpoint(infected), LazyCheckpoint(triggered)
    require_alike(base.about, other.about, f"{infected} and {triggered}")

    def moved(name: str, piece: Sequence[Tensor]) -> Tensor:
        start, end = piece
        return start if statistics == "kept" and is_statistic(name) else _moved(start, end - start, -alpha)

    return _write(base, [other], moved, out)


def merge(base: Path, additions: Sequence[Addition], out: Path) -> list[str]:
    """Write θ + Σ w_k·τ_k, where τ_k is a vector or θ_k − θ; return the tensors that changed.

    BatchNorm's statistics move by w_k / max(1, Σ|w|)·τ_k, with weights ≥ 0 at most to a mean of the models, as in
    `merging.task_arithmetic`: a sum of several changes could make a variance negative.

    Raises:
        CheckpointError: as `negate`.
    """
    start = LazyCheckpoint(base)
    read = [read_change(addition.path, start) for addition in additions]
    share = 1 / max(1.0, sum(abs(addition.weight) for addition in additions))

    def moved(name: str, piece: Sequence[Tensor]) -> Tensor:
        first, *others = piece
        result = first
        present = [
            (is_vector, a.weight) for (tensors, is_vector), a in zip(read, additions, strict=True) if name in tensors
        ]
        for other, (is_vector, weight) in zip(others, present, strict=True):
            factor = weight * share if is_statistic(name) else weight
            result = _moved(result, other if is_vector else other - first, factor)
        return result

    return _write(start, [tensors for tensors, _ in read], moved, out)


def read_change(path: Path, base: LazyCheckpoint) -> tuple[State, bool]:
    """A model or a vector, and whether it is a vector; of a vector only the tensors that are not zero.

    Raises:
        CheckpointError: if it is refused, or its names, shapes or types are not the base's.
    """
    if path.suffix == ".safetensors" and path.is_file():
        tensors, metadata = load_safetensors(path)
        if UNMOVED in metadata:
            floating = {name: value for name, value in base.about.items() if value.is_floating_point()}
            require_alike(floating, TaskVector.load(path).tensors, f"the base and the vector {path}")
            return tensors, True
    other = LazyCheckpoint(path)
    require_alike(base.about, other.about, f"the base and {path}")
    return other, False


def _moved(start: Tensor, delta: Tensor, factor: float) -> Tensor:
    """The sum as `InPlaceModel` computes it, in float32 for half precision; the start itself where nothing moves."""
    if factor == 0 or not bool(delta.any()):
        return start
    if start.dtype in (torch.float16, torch.bfloat16):
        return torch.add(start.float(), delta.float(), alpha=factor).to(start.dtype)
    return torch.add(start, delta, alpha=factor)


def _write(base: LazyCheckpoint, others: Sequence[State], change: Change, out: Path) -> list[str]:
    changed: list[str] = []

    def of(name: str, piece: Sequence[Tensor]) -> Tensor:
        result = change(name, piece) if piece[0].is_floating_point() else piece[0]
        if name.endswith("running_var") and bool((result < 0).any()):
            raise CheckpointError(
                f"{name} would become negative, which no variance is: give a smaller strength, or --statistics kept"
            )
        if not changed or changed[-1] != name:
            changed.extend([name] * (not torch.equal(result, piece[0])))
        return result

    def read(name: str) -> list[Tensor]:
        # in one memory layout: vectorised sums round otherwise than sums over strides
        return [source[name].contiguous() for source in (base, *others) if name in source]

    form = base.form
    try:
        if form.safetensors:
            _stream(base, read, of, prepare_folder(out, form))
        else:
            save_checkpoint({name: of(name, read(name)) for name in base}, out, form)
    except (OSError, RuntimeError, SafetensorError) as error:
        raise CheckpointError(f"cannot write {out}: {told_of(error)}") from None
    return changed


def _stream(base: LazyCheckpoint, read: Callable[[str], list[Tensor]], of: Change, path: Path) -> None:
    form: CheckpointFormat = base.form
    written = {name: form.tensors_of(name, value) for name, value in base.about.items()}
    others = {name: value for name, value in form.others.items() if isinstance(value, Tensor)}
    parts = {key: part for named in written.values() for key, part in named.items()}
    header = {key: (part.dtype, part.shape) for key, part in {**parts, **others}.items()}
    with safetensors_stream(path, header, form.metadata) as file:
        for name, named in written.items():
            if all(part is base.about[name] for part in named.values()):  # neither cut nor turned
                for piece in pieces(*read(name)):
                    append(file, of(name, piece))
            else:
                for part in form.tensors_of(name, of(name, read(name))).values():
                    append(file, part)
        for value in others.values():
            append(file, value)
