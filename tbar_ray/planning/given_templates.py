"""Whether the prompt templates of given sets can be filled, before anything is computed."""

from __future__ import annotations

from tbar_ray.data.benchmark_layout import read_lines
from tbar_ray.data.layout import TEMPLATES
from tbar_ray.errors import SpecError
from tbar_ray.planning.foundation import Foundation
from tbar_ray.redaction import redact
from tbar_ray.spec.campaign import CampaignSpec
from tbar_ray.stages.data import GivenData


def check_templates(spec: CampaignSpec, base: Foundation) -> None:
    """Check the templates of the evaluation set and of the tasks; those that OpenAI's replace are not looked at.

    Raises:
        SpecError: one line: a template has no place for the class name.
        DataError: if templates cannot be read.
    """
    if spec.evaluation.templates == "openai":
        return
    for data in (base.evaluation, *base.tasks.values()):
        if not isinstance(data, GivenData):
            continue
        for template in read_lines(data.place, TEMPLATES):
            if "{c}" not in template and "{}" not in template:
                raise SpecError(
                    f"{redact(data.place)}: template {template!r} of {TEMPLATES} has no {{c}} for the class name; "
                    "write one, or set evaluation.templates: openai"
                )
