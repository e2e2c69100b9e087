"""Which architectures a checkpoint's names and shapes fit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from tbar_ray.models.architectures import (
    CONFIG_DIR,
    QUICK_GELU,
    architecture_config,
    architecture_files,
    attention_heads,
)
from tbar_ray.models.formats.evidence import Evidence
from tbar_ray.models.formats.layouts import Layout
from tbar_ray.models.formats.tensor_info import TensorInfo
from tbar_ray.models.inspection.clues import OF_PATCHES
from tbar_ray.models.inspection.shapes import Shapes, expected_shapes, text_shapes
from tbar_ray.naming import counted

IMAGE: Final = "visual."
TIMM: Final = "visual.trunk."
OF_TEXT: Final = ("token_embedding.weight", "ln_final.weight", "logit_scale")
"""Tensors of which an image encoder alone has none."""


@dataclass(frozen=True)
class Fit:
    """How a checkpoint's tensors compare with an architecture's, by the names in the file.

    Attributes:
        missing: tensors that the architecture has and the checkpoint has not.
        unexpected: the reverse.
        misshapen: tensors of another shape, with that of the checkpoint and of the architecture.
    """

    missing: tuple[str, ...] = ()
    unexpected: tuple[str, ...] = ()
    misshapen: tuple[tuple[str, tuple[int, ...], tuple[int, ...]], ...] = ()

    @property
    def distance(self) -> int:
        """How many tensors do not fit."""
        return len(self.missing) + len(self.unexpected) + len(self.misshapen)

    @property
    def told(self) -> str:
        """How many tensors do not fit and how, with an example of each, for messages."""
        wrong = [name for name, _, _ in self.misshapen]
        kinds = (("missing", self.missing), ("unexpected", self.unexpected), ("of another shape", wrong))
        return ", ".join(f"{counted(len(names), 'tensor')} {how} (e.g. {names[0]})" for how, names in kinds if names)


@dataclass(frozen=True)
class Guess:
    """What names and shapes tell of the architecture.

    Attributes:
        candidates: all architectures that fit; of those that fit but for activation or heads, what the file states
            decides.
        nearest: the architecture that fits best; None where none has even a tensor in common.
        fit: how well that is.
        image_encoder_alone: whether there is no text tower.
        fitting: configurations whose names and shapes it has, whatever it states.
    """

    candidates: tuple[str, ...]
    nearest: str | None
    fit: Fit
    image_encoder_alone: bool = False
    fitting: tuple[str, ...] = ()

    @property
    def told(self) -> str:
        """What it fits, for messages, or what keeps it from fitting the nearest."""
        if self.fitting:
            return f"its names and shapes are those of {' or '.join(self.fitting)}"
        if self.nearest is None:
            return "it has no tensor of any known architecture"
        return f"it fits no known architecture; of the nearest, {self.nearest}, {self.fit.told}"

    def refuses(self, base: str, *, sized: bool = False) -> bool:
        """Whether it cannot be a checkpoint of that configuration, which may have shapes that nothing here tells.

        Args:
            base: the configuration's name.
            sized: whether images of another size are meant, whose positions are other ones; loading fits them.
        """
        if self.fitting:
            return base not in self.fitting
        own = known_shapes(base)
        if own is None or self.nearest is None:
            return own is not None
        wrong = [name for name, _, _ in self.fit.misshapen if not (sized and name in OF_PATCHES)]
        return own != known_shapes(self.nearest) or bool(self.fit.missing or wrong)


def guess_architecture(tensors: Mapping[str, TensorInfo], layout: Layout, evidence: Evidence) -> Guess:
    """Compare a checkpoint with every architecture.

    Args:
        tensors: the model's tensors, by their names in the file without prefix.
        layout: how the file names tensors.
        evidence: what the file states beside them.
    """
    fits: dict[str, Fit] = {}
    alone = not any(part in tensors for own in OF_TEXT for part in layout.parts(own, TensorInfo("", ())))
    for name in architecture_files():
        shapes = _shapes(name, tensors)
        if alone:
            shapes = {key: shape for key, shape in shapes.items() if key.startswith(IMAGE)}
        expected = {
            key: part.shape
            for own, shape in shapes.items()
            for key, part in layout.parts(own, TensorInfo("", shape)).items()
        }
        if expected.keys() & tensors.keys():
            fits[name] = _compare(tensors, expected)
    if not fits:
        return Guess((), None, Fit(unexpected=tuple(sorted(tensors))), alone)
    fitting = tuple(sorted(name for name, fit in fits.items() if not fit.distance))
    exact = tuple(said for name in fitting if (said := _as_stated(name, evidence)) is not None)
    nearest = fitting[0] if fitting else min(fits, key=lambda name: (fits[name].distance, name))
    return Guess(exact, nearest, fits[nearest], alone, fitting)


def _shapes(name: str, tensors: Mapping[str, TensorInfo]) -> Shapes:
    """Shapes of an architecture; of an image encoder of timm only where the file has one and it is one of ours."""
    if (shapes := expected_shapes(name)) is not None:
        return shapes
    if not any(key.startswith(TIMM) for key in tensors):
        return {}
    text = text_shapes(name)
    if not all(key in tensors and tensors[key].shape == shape for key, shape in text.items()):
        return {}
    return known_shapes(name) or {}


def known_shapes(name: str) -> Shapes | None:
    """Shapes of an architecture; None of an image encoder of timm that is not one of ours.

    Those of ours with an encoder of timm are built to see, which imports torch.
    """
    if (shapes := expected_shapes(name)) is not None:
        return shapes
    if architecture_files()[name].parent != CONFIG_DIR:
        return None
    from tbar_ray.models.factory import create_model

    return {key: tuple(value.shape) for key, value in create_model(name).state_dict().items()}


def _compare(tensors: Mapping[str, TensorInfo], expected: Shapes) -> Fit:
    both = sorted(expected.keys() & tensors.keys())
    return Fit(
        tuple(sorted(expected.keys() - tensors.keys())),
        tuple(sorted(tensors.keys() - expected.keys())),
        tuple((key, tensors[key].shape, expected[key]) for key in both if tensors[key].shape != expected[key]),
    )


def _as_stated(name: str, evidence: Evidence) -> str | None:
    """An architecture's name with the activation that the file states; None where it contradicts the file."""
    config = architecture_config(name)
    if evidence.heads is not None and evidence.heads != attention_heads(config):
        return None
    if evidence.quick_gelu is None or evidence.quick_gelu == bool(config.get("quick_gelu", False)):
        return name
    variant = f"{name}{QUICK_GELU}"
    return variant if evidence.quick_gelu and variant not in architecture_files() else None
