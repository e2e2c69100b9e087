"""What a method changes about a model, as files, and a model to which the change is applied in place."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from tbar_ray.models.checkpoint import load_state_dict, save_state_dict
from tbar_ray.models.in_place import InPlaceModel
from tbar_ray.models.task_vector import TaskVector

VECTOR = "vector.safetensors"
BESIDE = "beside_weights.safetensors"


@dataclass(frozen=True)
class Edit:
    """What a method changes about a model.

    Attributes:
        vector: the change of weights.
        head: float [C, D], a classifier that replaces the zero-shot head; rows need not have unit length.
        prompts: float [layers, tokens, width], learned tokens of a vision transformer's last layers (RVPT).
    """

    vector: TaskVector
    head: Tensor | None = None
    prompts: Tensor | None = None

    def save(self, folder: Path) -> None:
        """Write the parts as safetensors."""
        self.vector.save(folder / VECTOR)
        beside = {name: part for name, part in (("head", self.head), ("prompts", self.prompts)) if part is not None}
        if beside:
            save_state_dict(beside, folder / BESIDE)

    @classmethod
    def load(cls, folder: Path) -> Edit:
        """Read what `save` wrote."""
        beside = load_state_dict(folder / BESIDE) if (folder / BESIDE).exists() else {}
        return cls(TaskVector.load(folder / VECTOR), beside.get("head"), beside.get("prompts"))


class EditedModel:
    """A model whose edit is applied in place and always undone exactly."""

    def __init__(self, model: nn.Module, edit: Edit, head: Tensor) -> None:
        self._in_place = InPlaceModel(model, edit.vector)
        self._head = head
        self._own_head = None if edit.head is None else functional.normalize(edit.head.to(head.device), dim=-1)
        self._prompts = None if edit.prompts is None else edit.prompts.to(head.device)

    @property
    def model(self) -> nn.Module:
        """The model that is edited."""
        return self._in_place.model

    @property
    def moves_text(self) -> bool:
        """Whether the text encoder changes, and with it the zero-shot head of an edit without one."""
        return self._in_place.moves_text

    @contextmanager
    def at(self, coefficient: float) -> Iterator[tuple[nn.Module, Tensor | None]]:
        """Yield the model at base + coefficient·vector, and its classifier: None where it must be recomputed.

        An edit's own classifier is mixed with the infected model's by the coefficient; learned tokens are present
        except at 0.
        """
        with ExitStack() as stack:
            model = stack.enter_context(self._in_place.moved(coefficient))
            if self._prompts is not None and coefficient != 0:
                from tbar_ray.models.visual_prompts import prompted

                stack.enter_context(prompted(model, self._prompts))
            head: Tensor | None = None if self.moves_text and coefficient != 0 else self._head
            if self._own_head is not None and coefficient != 0:
                head = functional.normalize(torch.lerp(self._head, self._own_head, coefficient), dim=-1)
            yield model, head

    def settle(self) -> None:
        """Inside `at`: leave the weights where they are; see `InPlaceModel.settle`."""
        self._in_place.settle()
