from typing import Any

import pytest
import torch
from torch import Tensor, nn

from tbar_ray.models.library import open_clip
from tbar_ray.models.texts import STEP, encode_texts, text_places

CONTEXT = 40


def clip(**text: Any) -> nn.Module:
    """A CLIP of two layers with CONTEXT places for text."""
    torch.manual_seed(0)
    vision = {"image_size": 16, "layers": 1, "width": 32, "patch_size": 8, "head_width": 16}
    shape = {"context_length": CONTEXT, "vocab_size": 300, "width": 32, "heads": 2, "layers": 2, **text}
    model: nn.Module = open_clip().CLIP(16, vision, shape)
    return model.eval()


def captions(*lengths: int) -> Tensor:
    """Tokens of texts of these lengths, the last token being the greatest, and zeros behind it."""
    draw = torch.Generator().manual_seed(1)
    tokens = torch.zeros(len(lengths), CONTEXT, dtype=torch.int64)
    for row, length in enumerate(lengths):
        tokens[row, : length - 1] = torch.randint(1, 298, (length - 1,), generator=draw)
        tokens[row, length - 1] = 299
    return tokens


@pytest.mark.parametrize(("longest", "places"), [(3, STEP), (STEP, STEP), (STEP + 1, 2 * STEP), (CONTEXT, CONTEXT)])
def test_the_longest_text_decides_how_many_places_are_computed(longest: int, places: int) -> None:
    model, seen = clip(), []
    model.transformer.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].shape[1]))  # type: ignore[union-attr]
    tokens = captions(2, longest)
    encode_texts(model, tokens)
    assert seen == [places] == [text_places(model, tokens)]


@pytest.mark.parametrize("pooling", [{"pool_type": "argmax"}, {"pool_type": "eos", "eos_id": 299}])
def test_embeddings_and_gradients_are_those_of_the_whole_context(pooling: dict[str, Any]) -> None:
    model, tokens = clip(**pooling), captions(4, 9, 17)
    found = []
    for embed in (lambda: encode_texts(model, tokens), lambda: model.encode_text(tokens, normalize=True)):  # type: ignore[operator]
        model.zero_grad()
        embeddings = embed()
        embeddings.pow(3).sum().backward()
        found.append((embeddings.detach(), {n: p.grad for n, p in model.named_parameters() if p.grad is not None}))
    (short, short_gradients), (whole, whole_gradients) = found
    torch.testing.assert_close(short, whole)
    assert short_gradients.keys() == whole_gradients.keys()
    for name, gradient in whole_gradients.items():
        torch.testing.assert_close(short_gradients[name], gradient, msg=name)


def test_a_zero_inside_a_text_is_a_token() -> None:
    model, tokens = clip(), captions(20)
    tokens[0, 3:19] = 0
    torch.testing.assert_close(encode_texts(model, tokens), model.encode_text(tokens, normalize=True))  # type: ignore[operator]
    assert text_places(model, tokens) == 2 * STEP


@pytest.mark.parametrize("text", [{"no_causal_mask": True}, {"pool_type": "last"}, {"pool_type": "first"}])
def test_a_text_tower_that_may_look_behind_the_end_computes_all_places(text: dict[str, Any]) -> None:
    model, tokens = clip(**text), captions(4)
    assert text_places(model, tokens) == CONTEXT
    assert torch.equal(encode_texts(model, tokens), model.encode_text(tokens, normalize=True))  # type: ignore[operator]


def test_texts_without_any_token_are_embedded() -> None:
    model, tokens = clip(), torch.zeros(2, CONTEXT, dtype=torch.int64)
    torch.testing.assert_close(encode_texts(model, tokens), model.encode_text(tokens, normalize=True))  # type: ignore[operator]
