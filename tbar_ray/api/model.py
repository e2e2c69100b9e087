"""A CLIP model: loading, predicting, saving."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor, nn

from tbar_ray.api.artifacts import COMMIT, WEIGHTS, architecture_of
from tbar_ray.api.beside import Beside
from tbar_ray.api.classes import Classes, classes_of
from tbar_ray.api.pixels import Array, levels
from tbar_ray.data.places import resolve
from tbar_ray.errors import CheckpointError, DataError, SpecError
from tbar_ray.evaluation.normalised_images import statistics_batches
from tbar_ray.evaluation.zeroshot import predict
from tbar_ray.models.checkpoint import CheckpointFormat, is_weights_file, save_checkpoint
from tbar_ray.models.factory import Preprocessing, create_model, load_file, preprocessing, weights_file
from tbar_ray.models.inspection.architecture import architecture_told_by
from tbar_ray.models.statistics import has_statistics, reestimate
from tbar_ray.models.text_towers import text_tower
from tbar_ray.models.tokenizer import Tokenizer, build_tokenizer
from tbar_ray.models.visual_prompts import prompted

TORCH_SUFFIXES = (".pt", ".pth", ".bin")
MOST_HEADS = 4
"""Classifiers that a model keeps."""


@dataclass(frozen=True, eq=False)
class Model:
    """An open_clip model, with the classifier or tokens that an edit may have added.

    Attributes:
        module: the open_clip model, in evaluation mode. Where `beside` is not empty it is not the whole model: use
            `predict`, or work inside `answering`.
        architecture: its open_clip name.
        beside: a classifier of its own, or learned tokens of the image encoder; empty for most methods.
        form: the format of the checkpoint that it was loaded from; None for a tag or a module.
    """

    module: nn.Module
    architecture: str
    beside: Beside = field(default_factory=Beside)
    form: CheckpointFormat | None = None
    _heads: dict[object, Tensor] = field(default_factory=dict)

    def __repr__(self) -> str:
        extra = "".join(f", own {part}" for part in self.beside.parts())
        return f"Model({self.architecture} on {self.device}{extra})"

    @cached_property
    def preprocessing(self) -> Preprocessing:
        """Size and normalisation of the model's input images."""
        return preprocessing(self.module)

    @cached_property
    def tokenizer(self) -> Tokenizer:
        """The architecture's tokenizer."""
        return build_tokenizer(self.architecture)

    @property
    def device(self) -> torch.device:
        """The device that holds the model."""
        return next(self.module.parameters()).device

    def copy(self) -> Model:
        """A copy with independent weights; what is beside them (`beside`) is shared."""
        return replace(self, module=copy.deepcopy(self.module))

    def reestimated(self, images: Array) -> Model:
        """A copy whose running statistics (BatchNorm) are estimated anew on clean, unlabelled images.

        Ask for it where weights were edited and the statistics stayed behind: an ASR that rises was masked, not gone. A
        model without such statistics is returned as it is.

        Args:
            images: as for `predict`; about 1,000.

        Raises:
            DataError: if the images have another shape or range, or there are none.
        """
        if not has_statistics(self.module):
            return self
        found = self.copy()
        reestimate(found.module, statistics_batches(self._checked(images), self.preprocessing, self.device))
        return found

    def head(self, classes: Classes) -> Tensor:
        """The classifier, float [C, D] on the model's device: its own where it has one, else the zero-shot head.

        Raises:
            SpecError: if its own classifier is for other classes.
        """
        if self.beside.head is None:
            return self._zero_shot_head(classes)
        if self.beside.names != classes.names:
            raise SpecError(
                f"the model's own classifier is for {len(self.beside.names)} classes, beginning with "
                f"{self.beside.names[0]!r}; ask about those"
            )
        return self.beside.head.to(self.device)

    def _zero_shot_head(self, classes: Classes) -> Tensor:
        """The head; embedded anew only where the text encoder has other weights: a thousand classes take minutes."""
        key = classes, self.device, _digest(self.module)
        if key not in self._heads:
            if len(self._heads) >= MOST_HEADS:
                self._heads.clear()
            self._heads[key] = classes.prompts(self.tokenizer).head(self.module)
        return self._heads[key]

    @contextmanager
    def answering(self, classes: Classes) -> Iterator[tuple[nn.Module, Tensor]]:
        """Yield the module with its learned tokens in place, and its classifier [C, D]."""
        with ExitStack() as stack:
            if self.beside.prompts is not None:
                stack.enter_context(prompted(self.module, self.beside.prompts.to(self.device)))
            yield self.module, self.head(classes)

    def predict(self, images: Array, classes: Classes | Sequence[str]) -> Tensor:
        """Predicted class of each image, int64 [N] on the CPU.

        Args:
            images: uint8, or float in [0, 1], [N, 3, size, size] with the model's `preprocessing.size`, before
                normalisation.
            classes: the classes to choose among; a list of names gets OpenAI's templates.

        Raises:
            DataError: if the images have another shape or range.
        """
        checked = self._checked(images)
        with self.answering(classes_of(classes)) as (module, head):
            return predict(module, head, checked, self.preprocessing)

    def _checked(self, images: Array) -> Tensor:
        array, size = levels(images), self.preprocessing.size
        if array.ndim != 4 or array.shape[1:] != (3, size, size):
            raise DataError(f"images must be [N, 3, {size}, {size}] for this model, got {array.shape}")
        return torch.from_numpy(array)

    def save(self, path: str | Path) -> list[Path]:
        """Write the weights in float32; return the files written.

        A `.safetensors` or torch file (`.pt`, `.pth`, `.bin`), by the suffix. In the type of file that the model was
        loaded from, the checkpoint is written back in its format: names, entries (`state_dict`) and prefixes
        (`module.`) that it had, and what it held beside the model (a classifier, `epoch`), without states of
        optimizers. A path without a suffix is a folder, for a model that came from one, of open_clip or transformers.
        From an image encoder alone the image encoder alone is written. In the other type of file, tensors have
        open_clip's names.

        A classifier or tokens beside the weights go to a second file, `<name>.beside.safetensors`, which `load_model`
        reads with the first; other programs must apply it themselves.

        Raises:
            CheckpointError: if the suffix is another, or a file cannot be written.
        """
        path = Path(resolve(path))
        from_folder = self.form is not None and self.form.weights
        if path.suffix not in {".safetensors", *TORCH_SUFFIXES} and not (from_folder and not path.suffix):
            also = ", or without a suffix as a folder" if from_folder else ""
            raise CheckpointError(f"{path}: save as .safetensors or as one of {', '.join(TORCH_SUFFIXES)}{also}")
        form = CheckpointFormat(path.suffix == ".safetensors")
        if self.form is not None and (not path.suffix or self.form.safetensors == form.safetensors):
            form = self.form if not path.suffix else replace(self.form, weights="")
        save_checkpoint(self.module.state_dict(), path, form)
        return [path, *self.beside.save(path)]


def load_model(
    source: str | Path,
    weights: str | Path | None = None,
    *,
    text_from: str | Path | None = None,
    device: torch.device | str | None = None,
) -> Model:
    """Load a CLIP model.

    Args:
        source: an architecture (`ViT-B-32`) with `weights`; or, alone, the folder of a campaign's model
            (`find_artifact`), the weights in it, or a checkpoint that states its architecture (a folder of open_clip or
            transformers).
        weights: an open_clip tag (`openai`), or a checkpoint in any of the known formats: a file (.safetensors, .pt,
            .pth, .bin) or a folder. Torch files are read with weights_only=True: pickled code is refused, never run.
        text_from: where the text tower of an image encoder alone comes from: an open_clip tag, or a checkpoint.
        device: where the model goes; None for a GPU where there is one.

    Raises:
        SpecError: if the architecture is unknown or cannot be told, or no weights are given.
        CheckpointError: if the tag is unknown, or the checkpoint is refused, does not fit, or says something else of
            its model than the architecture (QuickGELU, heads, normalisation).
    """
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    architecture = str(source)
    if weights is None:
        architecture, weights = _told_alone(source)
    if not is_weights_file(weights):
        if text_from is not None:
            raise SpecError(f"load_model: the tag {weights!r} has a text tower of its own: leave text_from out")
        return Model(create_model(architecture, pretrained=str(weights), device=device).eval(), architecture)
    path = weights_file(weights)
    text = None if text_from is None else text_tower(architecture, str(text_from))
    module = create_model(architecture, device=device)
    form = load_file(module, path, architecture, text=text)
    return Model(module.eval(), architecture, Beside.load(path), form)


def _told_alone(source: str | Path) -> tuple[str, Path]:
    """Architecture and weights of a campaign's model, or of a checkpoint that states its architecture."""
    place = Path(resolve(source))
    folder = place if place.is_dir() else place.parent
    if (folder / COMMIT).is_file():
        return architecture_of(folder), folder / WEIGHTS
    if not is_weights_file(source):
        raise SpecError(
            f"load_model({str(source)!r}): give weights too, an open_clip tag or a checkpoint (or the folder of a "
            "campaign's model alone)"
        )
    path = weights_file(source)
    return architecture_told_by(path), path


def _digest(module: nn.Module) -> bytes:
    """Hash of the weights outside the image encoder."""
    digest = hashlib.blake2b()
    for name, value in module.named_parameters():
        if not name.startswith("visual."):
            digest.update(value.detach().cpu().flatten().view(torch.uint8).numpy().data)
    return digest.digest()
