"""How files name a model's tensors, and the way back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, TypeVar

from tbar_ray.models.formats.tensor_info import TensorInfo

if TYPE_CHECKING:
    from torch import Tensor

TensorT = TypeVar("TensorT", "Tensor", TensorInfo)
"""A tensor, or what is known of one."""


class Layout:
    """open_clip's own names. A subclass knows other ones."""

    name: ClassVar[str] = "open_clip"
    model: ClassVar[str] = ""
    """What stands before the names of the model's tensors, apart from others'."""

    def is_part(self, name: str) -> bool:  # noqa: ARG002 - for subclasses
        """Whether a tensor of the file is one of the model's."""
        return True

    def own(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The model's tensors under open_clip's names; `tensors` are those that are parts of it."""
        return dict(tensors)

    def parts(self, name: str, value: TensorT) -> dict[str, TensorT]:
        """The tensors that stand in the file for one of open_clip's; views of it where that is possible."""
        return {name: value}


class ImageEncoder(Layout):
    """An image encoder alone, without `visual.` before its names. The text tower is not written."""

    name: ClassVar[str] = "image encoder alone"
    visual: ClassVar[str] = "visual."

    def own(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Put `visual.` before every name."""
        return {f"{self.visual}{name}": value for name, value in tensors.items()}

    def parts(self, name: str, value: TensorT) -> dict[str, TensorT]:
        """Take `visual.` off; nothing stands for the text tower."""
        return {name.removeprefix(self.visual): value} if name.startswith(self.visual) else {}


class Classifier(Layout):
    """A model under `model.` beside a linear classifier under `linear.`."""

    name: ClassVar[str] = "model and classifier"
    model: ClassVar[str] = "model."
    classifier: ClassVar[tuple[str, ...]] = ("linear.weight", "linear.bias")

    def is_part(self, name: str) -> bool:
        """Whether it is not the classifier's."""
        return name not in self.classifier

    def own(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Take `model.` off."""
        return {name.removeprefix(self.model): value for name, value in tensors.items()}

    def parts(self, name: str, value: TensorT) -> dict[str, TensorT]:
        """Put `model.` on."""
        return {f"{self.model}{name}": value}


OPEN_CLIP, IMAGE_ENCODER, CLASSIFIER = Layout(), ImageEncoder(), Classifier()
