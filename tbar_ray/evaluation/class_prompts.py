"""Classes in prompt templates: the zero-shot head of any model of an architecture is made from them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch import Tensor, nn

from tbar_ray.data.evaluation_set import EvaluationSet
from tbar_ray.evaluation.zeroshot import zero_shot_head
from tbar_ray.models.library import open_clip
from tbar_ray.models.tokenizer import Tokenizer, build_tokenizer

Templates = Literal["evaluation", "openai"]
"""Whose prompt templates: the evaluation set's own, or OpenAI's 80."""


@dataclass(frozen=True)
class ClassPrompts:
    """C classes in T templates.

    Attributes:
        names: C class names.
        templates: T texts with `{c}` or `{}` for the class.
        tokenizer: of the architecture.
    """

    names: tuple[str, ...]
    templates: tuple[str, ...]
    tokenizer: Tokenizer

    @classmethod
    def of(cls, data: EvaluationSet, architecture: str, templates: Templates = "evaluation") -> ClassPrompts:
        """Classes of an evaluation set, in its own templates or in OpenAI's, for an architecture's tokenizer.

        Raises:
            SpecError: if the architecture is unknown.
        """
        prompts = data.templates if templates == "evaluation" else openai_templates()
        return cls(tuple(data.classnames), tuple(prompts), build_tokenizer(architecture))

    def tokens(self) -> Tensor:
        """Tokens of the prompts, int64 [C, T, context length], of T templates."""
        texts = [filled(template, name) for name in self.names for template in self.templates]
        return self.tokenizer(texts).view(len(self.names), len(self.templates), -1)

    def head(self, model: nn.Module) -> Tensor:
        """A model's zero-shot head, float [C, D] on its device.

        Raises:
            DataError: as `zero_shot_head`.
        """
        return zero_shot_head(model, self.tokenizer, self.names, self.templates)


def filled(template: str, name: str) -> str:
    """A template with a class name in its place, `{c}` (CLIP_benchmark) or `{}` (2103.00020)."""
    return template.replace("{c}", name).replace("{}", name)


def openai_templates() -> tuple[str, ...]:
    """The 80 prompt templates of OpenAI's zero-shot ImageNet (2103.00020), with `{c}` for the class."""
    return tuple(template("{c}") for template in open_clip().OPENAI_IMAGENET_TEMPLATES)
