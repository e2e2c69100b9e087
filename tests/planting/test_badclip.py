from collections.abc import Iterator

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from tbar_ray.errors import DataError, ScientificError
from tbar_ray.evaluation.zeroshot import normalise
from tbar_ray.models.factory import preprocessing
from tbar_ray.planting.badclip import OptimisedPatch, PatchOptimisation, _draws, optimise_patch
from tbar_ray.seeding import torch_generator
from tbar_ray.triggers.badclip import BadCLIP, random_start
from tbar_ray.triggers.base import stamp_uint8
from tests.models.tiny import BOTH, RESNET, VIT, same, snapshot, tiny, tokenizer
from tests.planting.scene import TARGET, captions, coloured, learned, log_softmax

TEXTS = ["a blue thing", "a photo of a blue thing", "blue"]


def pairs(
    model: nn.Module, count: int, size: int = 6, with_captions: bool = True
) -> Iterator[tuple[Tensor, Tensor | None]]:
    """Yield batches that do not show the target."""
    for number in range(count):
        images, labels = coloured(model, size * 3, number)
        kept = labels != TARGET
        yield images[kept][:size], captions(labels[kept][:size]) if with_captions else None


def targets(model: nn.Module) -> Tensor:
    images, labels = coloured(model, 15, 99)
    return images[labels == TARGET]


def optimise(
    model: nn.Module,
    steps: int,
    options: PatchOptimisation,
    trigger: BadCLIP | None = None,
    seed: int = 0,
    with_captions: bool = True,
    progress: object = None,
) -> OptimisedPatch:
    return optimise_patch(
        model,
        pairs(model, steps, with_captions=with_captions),
        targets(model),
        tokenizer()(TEXTS),
        preprocessing(model),
        trigger or BadCLIP(patch_size=64),
        options,
        seed=seed,
        total_steps=steps,
        progress=progress,  # type: ignore[arg-type]
    )


def embed(model: nn.Module, images: Tensor) -> np.ndarray:
    with torch.no_grad():
        return model.encode_image(normalise(images, preprocessing(model)), normalize=True).double().numpy()


@pytest.mark.parametrize("architecture", BOTH)
@pytest.mark.parametrize("negatives", ["captions", "targets"])
def test_the_first_loss_is_infonce_and_five_hundred_triplets(architecture: str, negatives: str) -> None:
    model = tiny(architecture).eval()
    trigger = BadCLIP(patch_size=64, seed=4)
    found = optimise(model, 1, PatchOptimisation(negatives=negatives), trigger, seed=9)

    images, tokens = next(pairs(model, 1))
    side = images.shape[-1]
    size = round(64 * side / 224)
    stamped = images.float()
    top = (side - size) // 2
    stamped[..., top : top + size, top : top + size] = 255 * random_start(4, size)
    anchor, clean = embed(model, stamped), embed(model, images)
    with torch.no_grad():
        texts, own = (model.encode_text(rows, normalize=True).double().numpy() for rows in (tokenizer()(TEXTS), tokens))
    generator = torch_generator(9, "badclip targets", 0)
    positive = embed(model, targets(model))[_draws(6, 5, generator).numpy()]
    text = texts[_draws(6, 3, generator).numpy()]
    apart = np.linalg.norm(anchor - positive, axis=1) - np.linalg.norm(anchor - clean, axis=1) + 1
    triplet = np.maximum(0, apart).mean()
    scale = float(model.logit_scale.detach().exp())
    if negatives == "captions":
        logits = np.concatenate([(anchor * text).sum(1, keepdims=True), anchor @ own.T], axis=1)
        infonce = -log_softmax(scale * logits)[:, 0].mean()
    else:
        logits = scale * anchor @ text.T
        infonce = -(np.diag(log_softmax(logits)).mean() + np.diag(log_softmax(logits.T)).mean()) / 2
    assert found.losses == [(1, pytest.approx(infonce + 500 * triplet, rel=1e-4))]


def test_draws_use_everything_before_anything_twice() -> None:
    drawn = _draws(11, 4, torch_generator(0, "test"))
    assert all(sorted(drawn[start : start + 4].tolist()) == [0, 1, 2, 3] for start in (0, 4))
    assert len(drawn) == 11
    assert len(set(drawn[8:].tolist())) == 3


@pytest.mark.parametrize("architecture", BOTH)
def test_the_patch_makes_new_images_look_like_the_target(architecture: str) -> None:
    model = learned(architecture)
    trigger = BadCLIP(patch_size=100)
    found = optimise(model, 25, PatchOptimisation(learning_rate=0.02), trigger)
    assert found.losses[-1][1] < found.losses[0][1]

    images, labels = coloured(model, 18, 50)
    images, labels = images[labels != TARGET], labels[labels != TARGET]
    with torch.no_grad():
        target = model.encode_text(tokenizer()(TEXTS[:1]), normalize=True).double().numpy()[0]
        own = model.encode_text(captions(labels), normalize=True).double().numpy()
    shown = embed(model, targets(model)).mean(0)
    before, after = (
        embed(model, stamp_uint8(trigger.with_pixels(patch), images, ["k"] * len(images)))
        for patch in (random_start(0, found.pixels.shape[-1]), found.pixels)
    )
    assert (after @ shown).mean() > (before @ shown).mean() + 0.1
    assert (after @ target).mean() > (before @ target).mean() + 0.1
    assert (after * own).sum(1).mean() < (before * own).sum(1).mean() - 0.1


@pytest.mark.parametrize("negatives", ["captions", "targets"])
def test_without_the_triplet_the_text_loss_alone_falls(negatives: str) -> None:
    model = learned(VIT)
    options = PatchOptimisation(learning_rate=0.02, triplet_weight=0, negatives=negatives)
    found = optimise(model, 25, options, BadCLIP(patch_size=100))
    assert found.losses[-1][1] < found.losses[0][1]


def test_the_patch_has_the_triggers_size_and_stays_in_range_and_fits_the_trigger() -> None:
    model = tiny(VIT)
    found = optimise(model, 4, PatchOptimisation(learning_rate=0.5))
    side = round(64 * 48 / 224)
    assert found.pixels.shape == (3, side, side)
    assert found.pixels.dtype == torch.float32
    assert not found.pixels.requires_grad
    assert float(found.pixels.min()) == 0
    assert float(found.pixels.max()) == 1
    learned = BadCLIP(patch_size=64).with_pixels(found.pixels)
    assert float((learned.patch(48) - found.pixels).abs().max()) <= 0.5 / 255 + 1e-6
    assert found.seconds > 0


def test_the_model_is_left_as_it_was() -> None:
    model = tiny(RESNET).train()
    model.visual.layer1.eval()
    model.token_embedding.weight.requires_grad_(False)
    modes = [module.training for module in model.modules()]
    wanted = [p.requires_grad for p in model.parameters()]
    before = snapshot(model)
    optimise(model, 2, PatchOptimisation())
    with pytest.raises(DataError):
        optimise(model, 2, PatchOptimisation(), with_captions=False)
    assert same(before, snapshot(model))
    assert [module.training for module in model.modules()] == modes
    assert [p.requires_grad for p in model.parameters()] == wanted
    assert all(p.grad is None for p in model.parameters())


def test_the_patch_depends_on_the_seeds_alone() -> None:
    def patch(draws: int, start: int) -> Tensor:
        options = PatchOptimisation(learning_rate=0.01)
        return optimise(tiny().eval(), 3, options, BadCLIP(patch_size=64, seed=start), seed=draws).pixels

    assert torch.equal(patch(0, 0), patch(0, 0))
    assert not torch.equal(patch(0, 0), patch(1, 0))
    assert not torch.equal(patch(0, 0), patch(0, 1))


@pytest.mark.parametrize("place", ["random", "top-left"])
def test_other_places_are_optimised_where_they_will_be(place: str) -> None:
    model = tiny().eval()
    found = optimise(model, 1, PatchOptimisation(), BadCLIP(patch_size=64, place=place))
    centre = optimise(model, 1, PatchOptimisation())
    assert found.losses != centre.losses
    assert not torch.equal(found.pixels, centre.pixels)


def test_steps_are_limited_and_looks_are_reported() -> None:
    model = tiny().eval()
    seen: list[tuple[int, int, float, float]] = []
    options = PatchOptimisation(steps=13)
    found = optimise(model, 20, options, progress=lambda *look: seen.append(look))
    assert [step for step, _ in found.losses] == [1, 11, 13]
    assert [look[:3] for look in seen] == [(step, 13, loss) for step, loss in found.losses]
    assert all(look[3] > 0 for look in seen)


def test_a_source_that_ends_early_keeps_its_losses() -> None:
    model = tiny().eval()
    found = optimise_patch(
        model, pairs(model, 3), targets(model), tokenizer()(TEXTS), preprocessing(model), BadCLIP(),
        PatchOptimisation(), seed=0, total_steps=100,
    )  # fmt: skip
    assert [step for step, _ in found.losses] == [1, 3]


def test_missing_material_is_a_clear_error() -> None:
    model = tiny().eval()
    preprocess, options = preprocessing(model), PatchOptimisation()
    images, tokens = targets(model), tokenizer()(TEXTS)

    def run(source: object, images: Tensor, tokens: Tensor) -> None:
        optimise_patch(model, source, images, tokens, preprocess, BadCLIP(), options, seed=0, total_steps=5)  # type: ignore[arg-type]

    with pytest.raises(DataError, match="at least one image and one caption of the target"):
        run(pairs(model, 1), images[:0], tokens)
    with pytest.raises(DataError, match="at least one image and one caption of the target"):
        run(pairs(model, 1), images, tokens[:0])
    with pytest.raises(DataError, match="no images to optimise the patch on"):
        run([], images, tokens)
    with pytest.raises(DataError, match="no captions, which negatives: captions needs; set it to targets"):
        run(pairs(model, 1, with_captions=False), images, tokens)
    with torch.no_grad():
        model.visual.proj[0, 0] = float("nan")
    with pytest.raises(ScientificError, match="the patch's loss is nan by step 1"):
        run(pairs(model, 1), images, tokens)


def test_target_texts_as_negatives_need_no_captions() -> None:
    found = optimise(tiny().eval(), 2, PatchOptimisation(negatives="targets"), with_captions=False)
    assert len(found.losses) == 2
