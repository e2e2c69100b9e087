import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from tbar_ray.errors import DataError
from tbar_ray.evaluation import retrieval
from tbar_ray.evaluation.rates import Rate
from tbar_ray.evaluation.retrieval import RetrievalScores, embed_images, embed_texts, score_retrieval
from tbar_ray.evaluation.zeroshot import normalise
from tbar_ray.models.factory import preprocessing
from tests.models.tiny import BOTH, pictures, same, snapshot, tiny, tokenizer

WORDS = ["a cat", "a dog", "two cats", "a red Banana", "banana", "bananas", "a tree"]
FEW = settings(max_examples=60)


def unit(rows: Tensor) -> Tensor:
    return functional.normalize(rows, dim=-1)


def gallery(seed: int, n: int, more: int) -> tuple[Tensor, Tensor, Tensor, Tensor, list[str]]:
    """Return embeddings of n images, clean and triggered, of n + more captions, owners and texts; texts repeat."""
    rng = np.random.default_rng(seed)
    owner = np.concatenate([np.arange(n), rng.integers(n, size=more)])
    rng.shuffle(owner)
    number = rng.integers(len(WORDS), size=n + more)
    # the target is named somewhere, and not by the captions of image 0
    number[np.flatnonzero(owner != 0)[0]] = 4
    number[owner == 0] = 1
    words = rng.normal(size=(len(WORDS), 6))
    # equal captions lie a hair apart, as they do when embedded in other batches
    texts = words[number] + 1e-6 * rng.normal(size=(n + more, 6))
    images, triggered = rng.normal(size=(2, n, 6))
    tensors = [unit(torch.from_numpy(rows).float()) for rows in (images, triggered, texts)]
    return tensors[0], tensors[1], tensors[2], torch.from_numpy(owner), [WORDS[k] for k in number]


def naive(
    images: Tensor, triggered: Tensor, texts: Tensor, owner: Tensor, captions: list[str]
) -> tuple[dict[int, int], dict[int, int], int, int, int]:
    """Return the hits, image by image and caption by caption."""
    own = {i: {captions[m] for m in range(len(captions)) if owner[m] == i} for i in range(len(images))}
    clean, stamped, text = (rows.numpy() for rows in (images, triggered, texts))
    target = {"a red Banana", "banana"}
    i2t, t2i = dict.fromkeys((1, 5, 10), 0), dict.fromkeys((1, 5, 10), 0)
    asr = asr_clean = others = 0
    for i in range(len(images)):
        order = np.argsort(-(text @ clean[i]))
        for k in i2t:
            i2t[k] += any(captions[m] in own[i] for m in order[:k])
        if not own[i] & target:
            others += 1
            asr += captions[int(np.argmax(text @ stamped[i]))] in target
            asr_clean += captions[order[0]] in target
    for m in range(len(captions)):
        order = np.argsort(-(clean @ text[m]))
        for k in t2i:
            t2i[k] += any(captions[m] in own[i] for i in order[:k])
    return i2t, t2i, asr, asr_clean, others


@FEW
@given(st.integers(0, 10_000), st.integers(2, 25), st.integers(0, 30), st.sampled_from([1, 50, 1 << 24]))
def test_the_counts_are_those_of_a_search_by_hand(seed: int, n: int, more: int, at_once: int) -> None:
    data = gallery(seed, n, more)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(retrieval, "SIMILARITIES", at_once)
        found = score_retrieval(*data, "banana")
    i2t, t2i, asr, asr_clean, others = naive(*data)
    assert found == RetrievalScores(
        {k: Rate.of(hits, n) for k, hits in i2t.items()},
        {k: Rate.of(hits, n + more) for k, hits in t2i.items()},
        Rate.of(asr, others),
        Rate.of(asr_clean, others),
    )


def test_a_hand_made_gallery() -> None:
    # image 1 is nearest to a caption of image 0 that reads like its own; the trigger sends both to the banana
    axes = torch.eye(4)
    images, triggered = axes[[0, 1, 3]], axes[[3, 3, 3]]
    captions = ["a cat", "a dog", "a cat", "a banana"]
    texts = unit(axes[[1, 0, 2, 3]] + 0.01)
    found = score_retrieval(images, triggered, texts, torch.tensor([0, 0, 1, 2]), captions, "banana")
    assert found.image_to_text[1] == Rate.of(3, 3)
    # "a cat" of image 0 finds image 1; "a dog" finds image 0; "a cat" of image 1 is as near to all
    assert found.text_to_image[5] == Rate.of(4, 4)
    assert (found.caption_asr, found.caption_asr_untriggered) == (Rate.of(2, 2), Rate.of(0, 2))


def test_equal_captions_count_for_each_other_and_others_do_not() -> None:
    axes = torch.eye(12)
    owner = torch.arange(12)
    shifted = axes.roll(1, 0)
    plain = [f"thing {k}" for k in range(11)] + ["banana"]
    alike = ["thing"] * 11 + ["banana"]
    assert score_retrieval(axes, axes, shifted, owner, plain, "banana").image_to_text[1].value == 0
    assert score_retrieval(axes, axes, shifted, owner, alike, "banana").image_to_text[1].value == 10 / 12
    assert score_retrieval(axes, axes, shifted, owner, plain, "banana").text_to_image[1].value == 0
    assert score_retrieval(axes, axes, shifted, owner, alike, "banana").text_to_image[1].value == 10 / 12


def test_recall_grows_with_k_and_the_flat_names_go_to_json() -> None:
    found = score_retrieval(*gallery(1, 20, 20), "banana")
    for rates in (found.image_to_text, found.text_to_image):
        assert rates[1].value <= rates[5].value <= rates[10].value
    flat = json.loads(json.dumps(found.to_dict()))
    assert flat["text_to_image_at_5"] == found.text_to_image[5].to_dict()
    assert len(flat) == 8


@pytest.mark.parametrize("architecture", BOTH)
def test_embeddings_of_a_model_are_its_own_of_unit_length_in_any_batch(architecture: str) -> None:
    model = tiny(architecture).train()
    images, preprocess = pictures(model, 5), preprocessing(model)
    tokens = tokenizer()(["a cat", "a dog", "banana"])
    before = snapshot(model)
    found = [embed_images(model, images, preprocess, 2), embed_texts(model, tokens, 2)]
    assert same(before, snapshot(model))
    assert model.training
    model.eval()
    with torch.no_grad():
        raw = [
            torch.stack([model.encode_image(normalise(one[None], preprocess))[0] for one in images]),
            model.encode_text(tokens),
        ]
    for own, expected in zip(found, raw, strict=True):
        torch.testing.assert_close(own, unit(expected), atol=1e-5, rtol=0)
    owner, captions = torch.tensor([0, 1, 2, 3, 4]), ["a cat", "a dog", "banana", "a cat", "a dog"]
    scores = score_retrieval(found[0], found[0], found[1][[0, 1, 2, 0, 1]], owner, captions, "banana")
    assert scores.caption_asr == scores.caption_asr_untriggered
    assert scores.caption_asr.n == 4


def test_nothing_to_embed() -> None:
    model = tiny()
    with pytest.raises(DataError, match="nothing to embed"):
        embed_images(model, pictures(model, 0), preprocessing(model))
    with pytest.raises(DataError, match="nothing to embed"):
        embed_texts(model, tokenizer()(["a"])[:0])


ROWS = torch.eye(3)
OWN = torch.arange(3)
TEXTS = ["a cat", "a dog", "a banana"]
NAN = torch.tensor([[1.0, 0, 0], [0, float("nan"), 0], [0, 0, 1]])


@pytest.mark.parametrize(
    ("images", "triggered", "texts", "owner", "captions", "message"),
    [
        (ROWS[:0], ROWS[:0], ROWS, OWN, TEXTS, "0 images and 3 captions"),
        (ROWS, ROWS, ROWS[:0], OWN[:0], [], "3 images and 0 captions"),
        (ROWS, ROWS[:2], ROWS, OWN, TEXTS, r"clean images \(3, 3\) but triggered \(2, 3\)"),
        (ROWS, ROWS, torch.eye(4)[:3], OWN, TEXTS, "images have 3 dimensions, of texts 4"),
        (ROWS, ROWS, ROWS, OWN[:2], TEXTS, "3 text embeddings, 2 owners and 3 captions"),
        (ROWS, ROWS, ROWS, OWN, TEXTS[:2], "3 text embeddings, 3 owners and 2 captions"),
        (2 * ROWS, ROWS, ROWS, OWN, TEXTS, "image embeddings are not all finite and of unit length"),
        (ROWS, NAN, ROWS, OWN, TEXTS, "triggered image embeddings are not all finite"),
        (ROWS, ROWS, NAN, OWN, TEXTS, "text embeddings are not all finite"),
        (ROWS, ROWS, ROWS, OWN + 1, TEXTS, "outside 0 … 2"),
        (ROWS, ROWS, ROWS, OWN - 1, TEXTS, "outside 0 … 2"),
        (ROWS, ROWS, ROWS, torch.tensor([0, 2, 2]), TEXTS, "image 1 has no caption"),
        (ROWS, ROWS, ROWS, OWN, ["a cat", "a dog", "bananas"], "none of the 3 captions names the target 'banana'"),
        (ROWS, ROWS, ROWS, OWN, ["banana"] * 3, "every image has a caption that names the target"),
    ],
)
def test_sets_that_cannot_be_searched(
    images: Tensor, triggered: Tensor, texts: Tensor, owner: Tensor, captions: list[str], message: str
) -> None:
    with pytest.raises(DataError, match=f"^retrieval: .*{message}"):
        score_retrieval(images, triggered, texts, owner, captions, "banana")
