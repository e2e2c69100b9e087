"""Image–text retrieval of a CLIP model, and the caption ASR: how often a trigger retrieves a caption of the target."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from tbar_ray.data.selection import mentions
from tbar_ray.errors import DataError
from tbar_ray.evaluation.rates import Rate
from tbar_ray.evaluation.zeroshot import best_columns, normalise
from tbar_ray.models.factory import Preprocessing
from tbar_ray.models.modes import evaluating
from tbar_ray.models.texts import encode_texts

RANKS = (1, 5, 10)
"""Values of k in recall@k."""

SIMILARITIES = 1 << 24
"""Similarities in memory at once (64 MiB in float32): 167 queries against a gallery of 100,000."""


@dataclass(frozen=True)
class RetrievalScores:
    """Recall@1, 5 and 10 in both directions, and the caption ASR with its baseline.

    image_to_text: share of clean images with a correct caption among the k nearest of all captions.
    text_to_image: share of captions with a correct image among the k nearest of all clean images.
    caption_asr: share of triggered images whose nearest caption names the target, among images whose own
    captions do not. caption_asr_untriggered: the same for the same images without the trigger.
    """

    image_to_text: dict[int, Rate]
    text_to_image: dict[int, Rate]
    caption_asr: Rate
    caption_asr_untriggered: Rate

    def to_dict(self) -> dict[str, dict[str, float | int]]:
        """Every rate under a flat name, e.g. `image_to_text_at_5`."""
        return {
            **{f"image_to_text_at_{k}": rate.to_dict() for k, rate in self.image_to_text.items()},
            **{f"text_to_image_at_{k}": rate.to_dict() for k, rate in self.text_to_image.items()},
            "caption_asr": self.caption_asr.to_dict(),
            "caption_asr_untriggered": self.caption_asr_untriggered.to_dict(),
        }


@torch.no_grad()
def score_retrieval(
    images: Tensor, triggered: Tensor, texts: Tensor, owner: Tensor, captions: Sequence[str], target: str
) -> RetrievalScores:
    """Score embeddings of N images and M captions; caption m belongs to image owner[m], several to one image.

    Corpora repeat captions, both procedural and web corpora. As usual, the gallery contains every occurrence of a
    caption, but correctness is judged by text: a retrieved caption is correct if its text equals one of the image's
    own, whichever image it was written for, and a retrieved image is correct if one of its captions equals the query.
    Embeddings alone cannot distinguish such captions.

    Args:
        images: clean image embeddings [N, D], of unit length.
        triggered: embeddings [N, D] of the same images with the trigger.
        texts: caption embeddings [M, D]; all three on one device.
        owner: int64 [M] in 0 … N − 1; every image owns a caption.
        captions: the M texts.
        target: the target class; a caption of the target contains its name as whole words.

    Raises:
        DataError: if there are no images or captions, shapes or numbers do not match, embeddings are not of
            finite unit length, an image owns no caption, or no caption, or one of every image, names the target.
    """
    _check(images, triggered, texts, owner, captions)
    owner, device = owner.to("cpu", torch.int64), images.device
    names_target = torch.tensor([mentions(caption, target) for caption in captions])
    others = torch.ones(len(images), dtype=torch.bool)
    others[owner[names_target]] = False
    if not names_target.any():
        raise DataError(
            f"retrieval: none of the {len(captions)} captions names the target {target!r}, so caption ASR is "
            "undefined; leave the retrieval set out, or use one that shows the target"
        )
    if not others.any():
        raise DataError(f"retrieval: every image has a caption that names the target {target!r}; add other images")
    found_texts, found_images = _found(images, texts)
    image_to_text, text_to_image = _recalled(found_texts, found_images, owner, captions)
    nearest_triggered = torch.cat(list(_nearest(triggered[others.to(device)], texts, 1)))[:, 0]
    n = int(others.sum())
    return RetrievalScores(
        image_to_text=image_to_text,
        text_to_image=text_to_image,
        caption_asr=Rate.of(int(names_target[nearest_triggered].sum()), n),
        caption_asr_untriggered=Rate.of(int(names_target[found_texts[others, 0]].sum()), n),
    )


@torch.no_grad()
def recalls(
    images: Tensor, texts: Tensor, owner: Tensor, captions: Sequence[str]
) -> tuple[dict[int, Rate], dict[int, Rate]]:
    """Recall@1, 5 and 10 from images to texts and from texts to images, as defined by `score_retrieval`.

    Raises:
        DataError: as `score_retrieval`, except for the target.
    """
    _check(images, images, texts, owner, captions)
    return _recalled(*_found(images, texts), owner.to("cpu", torch.int64), captions)


def _found(images: Tensor, texts: Tensor) -> tuple[Tensor, Tensor]:
    """The nearest texts of every image and the nearest images of every text, best first."""
    best = max(RANKS)
    return torch.cat(list(_nearest(images, texts, best))), torch.cat(list(_nearest(texts, images, best)))


def _recalled(
    found_texts: Tensor, found_images: Tensor, owner: Tensor, captions: Sequence[str]
) -> tuple[dict[int, Rate], dict[int, Rate]]:
    numbers: dict[str, int] = {}
    same_text = torch.tensor([numbers.setdefault(caption, len(numbers)) for caption in captions])
    # (image, text) encoded as one number, so that membership is a search in a sorted list.
    carried = torch.unique(owner * len(numbers) + same_text)

    def carries(image: Tensor, text: Tensor) -> Tensor:
        return torch.isin(image * len(numbers) + same_text[text], carried)

    return (
        _recalls(carries(torch.arange(len(found_texts))[:, None], found_texts)),
        _recalls(carries(found_images, torch.arange(len(found_images))[:, None])),
    )


def _check(images: Tensor, triggered: Tensor, texts: Tensor, owner: Tensor, captions: Sequence[str]) -> None:
    if len(images) == 0 or len(texts) == 0:
        raise DataError(f"retrieval: {len(images)} images and {len(texts)} captions; neither may be empty")
    if images.shape != triggered.shape:
        raise DataError(f"retrieval: clean images {tuple(images.shape)} but triggered {tuple(triggered.shape)}")
    if texts.shape[1:] != images.shape[1:]:
        raise DataError(f"retrieval: embeddings of images have {images.shape[1]} dimensions, of texts {texts.shape[1]}")
    if not len(texts) == len(owner) == len(captions):
        raise DataError(f"retrieval: {len(texts)} text embeddings, {len(owner)} owners and {len(captions)} captions")
    for what, embeddings in (("image", images), ("triggered image", triggered), ("text", texts)):
        # also rejects NaN; half precision is accurate to a few thousandths
        if not ((embeddings.float().norm(dim=1) - 1).abs() < 0.01).all():
            raise DataError(f"retrieval: {what} embeddings are not all finite and of unit length")
    owns = torch.zeros(len(images), dtype=torch.bool)
    if int(owner.min()) < 0 or int(owner.max()) >= len(images):
        raise DataError(f"retrieval: a caption belongs to an image outside 0 … {len(images) - 1}")
    owns[owner.cpu()] = True
    if not owns.all():
        raise DataError(f"retrieval: image {int((~owns).nonzero()[0])} has no caption")


def _nearest(queries: Tensor, gallery: Tensor, k: int) -> Iterator[Tensor]:
    """Yield the k nearest gallery rows [·, min(k, G)] (CPU), best first, for successive chunks of queries."""
    rows = max(1, SIMILARITIES // len(gallery))
    for start in range(0, len(queries), rows):
        yield best_columns(queries[start : start + rows] @ gallery.T, k).cpu()


def _recalls(right: Tensor) -> dict[int, Rate]:
    """Recall@k from the correctness [Q, max k] of retrieved items, best first."""
    return {k: Rate.of(int(right[:, :k].any(1).sum()), len(right)) for k in RANKS}


@torch.no_grad()
def embed_images(model: nn.Module, images: Tensor, preprocessing: Preprocessing, batch_size: int = 256) -> Tensor:
    """Unit embeddings [N, D], on the model's device, of uint8 images [N, 3, H, W].

    Raises:
        DataError: if there are no images.
    """
    device = next(model.parameters()).device
    return _embedded(
        model,
        lambda batch: model.encode_image(normalise(batch.to(device), preprocessing), normalize=True),  # type: ignore[operator]
        images,
        batch_size,
    )


@torch.no_grad()
def embed_texts(model: nn.Module, tokens: Tensor, batch_size: int = 1024) -> Tensor:
    """Unit embeddings [M, D], on the model's device, of tokens [M, context length].

    Raises:
        DataError: if there are no texts.
    """
    device = next(model.parameters()).device
    return _embedded(
        model,
        lambda batch: encode_texts(model, batch.to(device)),
        tokens,
        batch_size,
    )


def _embedded(model: nn.Module, encode: Callable[[Tensor], Tensor], inputs: Tensor, batch_size: int) -> Tensor:
    if len(inputs) == 0:
        raise DataError("retrieval: nothing to embed; give at least one image and one caption")
    with evaluating(model):
        return torch.cat([encode(inputs[start : start + batch_size]) for start in range(0, len(inputs), batch_size)])
