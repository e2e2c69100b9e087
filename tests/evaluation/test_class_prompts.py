"""Classes in templates."""

from __future__ import annotations

import torch

from tbar_ray.evaluation.class_prompts import ClassPrompts, filled, openai_templates
from tbar_ray.evaluation.zeroshot import zero_shot_head
from tests.models.tiny import tiny, tokenizer

PROMPTS = ClassPrompts(("red", "blue"), ("a {c} thing", "one {}", "{c}"), tokenizer())


def test_both_marks_are_filled() -> None:
    assert [filled(template, "red") for template in PROMPTS.templates] == ["a red thing", "one red", "red"]


def test_tokens_are_by_class_and_template() -> None:
    tokens = PROMPTS.tokens()
    assert tokens.shape[:2] == (2, 3)
    assert torch.equal(tokens[1, 0], tokenizer()(["a blue thing"])[0])


def test_the_head_is_the_zero_shot_head() -> None:
    model = tiny().eval()
    assert torch.equal(PROMPTS.head(model), zero_shot_head(model, tokenizer(), PROMPTS.names, PROMPTS.templates))


def test_openais_templates_are_80_with_a_place_for_the_class() -> None:
    assert len(set(openai_templates())) == 80
    assert all("{c}" in template for template in openai_templates())
