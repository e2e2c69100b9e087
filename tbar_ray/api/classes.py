"""The classes that a model is used for, with their prompts."""

from __future__ import annotations

from collections.abc import Sequence

from tbar_ray.errors import DataError
from tbar_ray.evaluation.class_prompts import ClassPrompts, openai_templates
from tbar_ray.models.tokenizer import Tokenizer
from tbar_ray.naming import nearest


def classes_of(given: Classes | Sequence[str]) -> Classes:
    """Classes, or a list of their names, in OpenAI's templates.

    Raises:
        DataError: as `Classes`.
    """
    return given if isinstance(given, Classes) else Classes(given)


class Classes:
    """Class names in prompt templates.

    Args:
        names: the classes; their order is that of labels.
        templates: texts with `{}` or `{c}` for the class; None for OpenAI's 80 (arXiv 2103.00020).

    Raises:
        DataError: if there is no class or template, a class is listed twice, or a template has no placeholder.
    """

    def __init__(self, names: Sequence[str], templates: Sequence[str] | None = None) -> None:
        self.names = tuple(names)
        self.templates = openai_templates() if templates is None else tuple(templates)
        if isinstance(names, str) or not self.names or not self.templates:
            raise DataError("classes: names and templates are lists of at least one text each")
        if twice := sorted({name for name in self.names if self.names.count(name) > 1}):
            raise DataError(f"classes: {twice[0]!r} is listed twice")
        for template in self.templates:
            if "{c}" not in template and "{}" not in template:
                raise DataError(f"classes: template {template!r} has no {{}} for the class name")

    def __len__(self) -> int:
        return len(self.names)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Classes) and (self.names, self.templates) == (other.names, other.templates)

    def __hash__(self) -> int:
        return hash((self.names, self.templates))

    def __repr__(self) -> str:
        shown = ", ".join(self.names[:3]) + (", …" if len(self) > 3 else "")
        return f"Classes({len(self)}: {shown}; {len(self.templates)} templates)"

    def index(self, name: str) -> int:
        """Position of a class in `names`, from 0: the number that labels and predictions use.

        Raises:
            DataError: if there is no class of that name; the message suggests the nearest ones.
        """
        if name not in self.names:
            raise DataError(f"{name!r} is none of the {len(self)} classes{nearest(name, self.names)}")
        return self.names.index(name)

    def prompts(self, tokenizer: Tokenizer) -> ClassPrompts:
        """Every class in every template, for the tokenizer of an architecture."""
        return ClassPrompts(self.names, self.templates, tokenizer)
