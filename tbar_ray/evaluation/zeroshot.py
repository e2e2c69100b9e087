"""The zero-shot classifier of a CLIP model, and predictions with it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from weakref import WeakSet

import torch
from torch import Tensor, nn
from torch.nn import functional

from tbar_ray.errors import DataError
from tbar_ray.models.factory import Preprocessing
from tbar_ray.models.folding import folded
from tbar_ray.models.modes import evaluating
from tbar_ray.models.texts import encode_texts
from tbar_ray.models.tokenizer import Tokenizer

MARGIN = 0.05
"""Cosines closer than this may swap in bf16, whose rounding moves a cosine of embeddings by about a hundredth."""


def normalise(images: Tensor, preprocessing: Preprocessing) -> Tensor:
    """Turn uint8 images [B, 3, H, W] into the model's normalised float input, on the images' device."""
    mean = torch.tensor(preprocessing.mean, device=images.device).view(1, 3, 1, 1)
    std = torch.tensor(preprocessing.std, device=images.device).view(1, 3, 1, 1)
    # readers give images as decoders do, channels last; in bytes the reordering costs least
    pixels = images.contiguous().to(torch.float32).div(255)  # a new tensor: the rest needs no other
    return pixels.sub_(mean).div_(std)


_ANSWERING: WeakSet[nn.Module] = WeakSet()


@contextmanager
def answering(model: nn.Module) -> Iterator[None]:
    """Put the model in the form that answers fastest, for passes without gradients, and back afterwards.

    Inside another such context of the same model nothing is left to do.
    """
    if model in _ANSWERING:
        yield
        return
    with evaluating(model), folded(model):
        _ANSWERING.add(model)
        try:
            yield
        finally:
            _ANSWERING.discard(model)


def images_at_once(device: torch.device) -> int:
    """Images of a forward pass: on a CPU as many as fit its caches, on a GPU enough to fill it."""
    return 128 if device.type == "cpu" else 512


@torch.no_grad()  # not inference_mode: training against the head needs an ordinary tensor
def zero_shot_head(
    model: nn.Module, tokenizer: Tokenizer, classnames: Sequence[str], templates: Sequence[str]
) -> Tensor:
    """Class embeddings, float [C, D]: normalised means of normalised template embeddings.

    Templates mark the class by `{c}` (CLIP_benchmark) or `{}` (Radford et al., 2103.00020).

    Raises:
        DataError: if there are no classes or templates, a template has no place for the class, or an
            embedding is not finite.
    """
    for what, given in (("classes", classnames), ("templates", templates)):
        if not given:
            raise DataError(f"zero-shot head: no {what}; the evaluation set must list at least one")
    for template in templates:
        if "{c}" not in template and "{}" not in template:
            raise DataError(f"zero-shot template {template!r} has no {{c}} for the class name")
    device = next(model.parameters()).device
    prompts = [t.replace("{c}", name).replace("{}", name) for name in classnames for t in templates]
    with evaluating(model):
        embeddings = torch.cat(
            [
                encode_texts(model, tokenizer(prompts[start : start + 1024]).to(device))
                for start in range(0, len(prompts), 1024)
            ]
        )
    head = functional.normalize(embeddings.view(len(classnames), len(templates), -1).mean(1), dim=-1)
    if not torch.isfinite(head).all():
        raise DataError("zero-shot head: the text encoder gives embeddings that are not finite")
    return head


def best_columns(scores: Tensor, k: int) -> Tensor:
    """Columns [B, min(k, C)] (int64) of the greatest of `scores` [B, C], best first.

    The first column is the argmax, a tie going to the lower index; ties further down are in no set order.
    """
    winner = scores.argmax(-1, keepdim=True)
    if k == 1:
        return winner
    # topk breaks ties its own way: the argmax is raised above all others
    return scores.scatter(1, winner, float("inf")).topk(min(k, scores.shape[1]), dim=1).indices


@torch.inference_mode()
def predict_topk(
    model: nn.Module,
    head: Tensor,
    images: Tensor,
    preprocessing: Preprocessing,
    k: int = 5,
    batch_size: int | None = None,
) -> Tensor:
    """The k best classes [N, min(k, C)] (int64, CPU), best first, of uint8 images [N, 3, H, W].

    The first column is `predict`'s answer. The head is [C, D], on the model's device. `batch_size` None takes as many
    images at once as suit the device.

    Raises:
        DataError: if there are no classes or no images, or an image embedding is not finite.
    """
    if len(head) == 0:
        raise DataError("evaluation: the zero-shot head has no classes")
    if len(images) == 0:
        raise DataError("evaluation: no images to classify")
    device = head.device
    batch_size = batch_size or images_at_once(device)
    predictions = []
    with answering(model):
        for start in range(0, len(images), batch_size):
            batch = normalise(images[start : start + batch_size].to(device), preprocessing)
            logits = model.encode_image(batch, normalize=True) @ head.T  # type: ignore[operator]
            if not torch.isfinite(logits).all():
                raise DataError("evaluation: the image encoder gives embeddings that are not finite")
            predictions.append(best_columns(logits, k).cpu())
    return torch.cat(predictions)


def predict(
    model: nn.Module, head: Tensor, images: Tensor, preprocessing: Preprocessing, batch_size: int | None = None
) -> Tensor:
    """Predicted class [N] (int64, CPU) of uint8 images [N, 3, H, W].

    Raises:
        DataError: as `predict_topk`.
    """
    return predict_topk(model, head, images, preprocessing, 1, batch_size)[:, 0]


@torch.inference_mode()
def likely(
    model: nn.Module, head: Tensor, images: Tensor, preprocessing: Preprocessing, k: int = 3
) -> tuple[Tensor, Tensor]:
    """The k most probable classes of uint8 images [N, 3, H, W] and their probabilities, best first.

    Probabilities are those of CLIP: a softmax over the classes of cosines times the model's learned scale. The first
    class is `predict`'s answer, also where two probabilities are rounded to one number.

    Returns:
        Classes [N, min(k, C)] (int64) and probabilities [N, min(k, C)] (float32), on the CPU.

    Raises:
        DataError: if there are no classes or no images, or an image embedding is not finite.
    """
    if len(head) == 0 or len(images) == 0:
        raise DataError("evaluation: no classes to choose from, or no images to classify")
    classes, probabilities = [], []
    with answering(model):
        for start in range(0, len(images), images_at_once(head.device)):
            batch = normalise(images[start : start + images_at_once(head.device)].to(head.device), preprocessing)
            cosines = model.encode_image(batch, normalize=True) @ head.T  # type: ignore[operator]
            if not torch.isfinite(cosines).all():
                raise DataError("evaluation: the image encoder gives embeddings that are not finite")
            found = (model.logit_scale.exp() * cosines).float().softmax(-1)  # type: ignore[operator]
            best = best_columns(cosines, k)
            classes.append(best.cpu())
            probabilities.append(found.gather(1, best).cpu())
    return torch.cat(classes), torch.cat(probabilities)


@torch.inference_mode()
def predict_reduced(
    model: nn.Module, head: Tensor, images: Tensor, preprocessing: Preprocessing, batch_size: int | None = None
) -> Tensor:
    """The answers of `predict`, computed in bf16 where that leaves no doubt.

    Images whose two best classes are closer than `MARGIN` are embedded again in float32.

    Raises:
        DataError: as `predict_topk`.
    """
    batch_size = batch_size or images_at_once(head.device)
    answers = []
    with answering(model):
        for start in range(0, len(images), batch_size):
            batch = images[start : start + batch_size]
            with torch.autocast(head.device.type, dtype=torch.bfloat16):
                features = model.encode_image(normalise(batch.to(head.device), preprocessing), normalize=True)  # type: ignore[operator]
            logits = features.float() @ head.float().T
            found = logits.argmax(-1).cpu()
            best = logits.topk(min(2, logits.shape[1]), dim=1).values
            # NaN is in doubt as well
            doubtful = ~(best[:, 0] - best[:, -1] > MARGIN).cpu()
            if doubtful.any():
                found[doubtful] = predict(model, head, batch[doubtful], preprocessing, batch_size)
            answers.append(found)
    return torch.cat(answers)
