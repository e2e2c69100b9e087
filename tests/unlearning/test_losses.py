"""The loss of every method against the formula in numpy, from embeddings that the model gives."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from tbar_ray.evaluation.zeroshot import normalise
from tbar_ray.models.factory import preprocessing
from tbar_ray.models.task_vector import TaskVector
from tbar_ray.training.batch import Batch
from tbar_ray.training.objectives import Objective
from tbar_ray.unlearning.abl import ABL, agreement
from tbar_ray.unlearning.backdoor_directions import BackdoorDirections
from tbar_ray.unlearning.base import Infected
from tbar_ray.unlearning.blocks import branches_of
from tbar_ray.unlearning.cbpt import replaced_context
from tbar_ray.unlearning.channels import channels_of
from tbar_ray.unlearning.clean_finetuning import CleanFineTuning
from tbar_ray.unlearning.cleanclip import CleanCLIP
from tbar_ray.unlearning.ft_sam import FTSAM, perturbation
from tbar_ray.unlearning.gradient_ascent import GradientAscent
from tbar_ray.unlearning.i_bau import IBAU
from tbar_ray.unlearning.par import PAR
from tbar_ray.unlearning.robust_gradient_ascent import RobustGradientAscent
from tbar_ray.unlearning.roclip import RoCLIP
from tbar_ray.unlearning.rvpt import class_tokens, mean_cosine
from tbar_ray.unlearning.tbar_anchored import AnchoredTBAR
from tbar_ray.unlearning.tbar_fisher import fisher
from tbar_ray.unlearning.tbar_tangent import TangentTBAR, _Linearised
from tbar_ray.unlearning.ulrl import _Classifier
from tests.models.tiny import BOTH, RESNET, VIT, pictures, same, snapshot, tiny, tokenizer
from tests.unlearning.planted import NAMES, case, defender

Rows = np.ndarray
CLOSE = {"rel": 2e-4, "abs": 2e-4}


def infected_of(architecture: str) -> Infected:
    """Return a model that nobody trained, with a defender's data."""
    model = tiny(architecture).eval()
    return Infected(model, snapshot(model), defender(model), preprocessing(model), 0)


def nudge(infected: Infected, size: float = 0.01) -> None:
    """Move the weights, so that the model differs from the infected one that an objective has copied."""
    draw = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in infected.model.parameters():
            if parameter.ndim > 1:
                parameter.add_(size * torch.randn(parameter.shape, generator=draw))


@torch.no_grad()
def image_rows(infected: Infected, images: Tensor) -> Rows:
    found = infected.model.encode_image(normalise(images, infected.preprocessing)).double().numpy()
    return found / np.linalg.norm(found, axis=1, keepdims=True)


@torch.no_grad()
def text_rows(infected: Infected, tokens: Tensor) -> Rows:
    found = infected.model.encode_text(tokens).double().numpy()
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def scale_of(infected: Infected) -> float:
    return float(infected.model.logit_scale.detach().exp())


def log_softmax(rows: Rows) -> Rows:
    shifted = rows - rows.max(-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(-1, keepdims=True))


def info_nce(left: Rows, right: Rows, scale: float) -> float:
    logits = scale * left @ right.T
    return -(np.diag(log_softmax(logits)).mean() + np.diag(log_softmax(logits.T)).mean()) / 2


def chances_of(infected: Infected, images: Tensor) -> Rows:
    return log_softmax(scale_of(infected) * image_rows(infected, images) @ infected.classes.head.double().numpy().T)


def value(objective: Objective, batch: Batch) -> float:
    return float(objective.loss(batch).detach())


def first(batches: object) -> Batch:
    return next(iter(batches))  # type: ignore[call-overload, no-any-return]


@pytest.mark.parametrize("architecture", BOTH)
def test_cleanclip_adds_a_self_supervised_loss_in_each_modality(architecture: str) -> None:
    infected = infected_of(architecture)
    method = CleanCLIP(batch_size=6, self_weight=0.3)
    batch = first(method.batches_from(infected))
    assert batch.tokens is not None
    images, texts = image_rows(infected, batch.images), text_rows(infected, batch.tokens)
    scale = scale_of(infected)
    own = info_nce(images[:6], images[6:], scale) + info_nce(texts[:6], texts[6:], scale)
    expected = info_nce(images[:6], texts[:6], scale) + 0.3 * own
    assert value(method.objective_on(infected), batch) == pytest.approx(expected, **CLOSE)
    assert not torch.equal(batch.images[:6], batch.images[6:])


def test_roclip_matches_every_second_step_with_the_nearest_captions_of_its_bank() -> None:
    infected = infected_of(VIT)
    method = RoCLIP(batch_size=5, bank=0.2, every=2)
    batch, objective, scale = first(method.batches_from(infected)), method.objective_on(infected), scale_of(infected)
    assert batch.tokens is not None
    images, texts = image_rows(infected, batch.images), text_rows(infected, batch.tokens)
    assert value(objective, batch) == pytest.approx(info_nce(images, texts, scale), **CLOSE)
    bank = text_rows(infected, objective._bank)  # type: ignore[attr-defined]
    assert len(bank) == round(0.2 * len(infected.clean))
    matched = bank[(texts @ bank.T).argmax(1)]
    assert value(objective, batch) == pytest.approx(info_nce(images, matched, scale), **CLOSE)
    assert value(objective, batch) == pytest.approx(info_nce(images, texts, scale), **CLOSE)


@pytest.mark.parametrize("threshold", [2.15, 1e-9])
def test_par_drives_embeddings_away_up_to_a_distance(threshold: float) -> None:
    infected = infected_of(VIT)
    method = PAR(batch_size=5, threshold=threshold, perturbation=0.7)
    batch, objective = first(method.batches_from(infected)), method.objective_on(infected)
    assert batch.tokens is not None
    old = image_rows(infected, batch.images), text_rows(infected, batch.tokens)
    nudge(infected)
    new = image_rows(infected, batch.images), text_rows(infected, batch.tokens)
    distances = [((a - b) ** 2).sum(1).mean() for a, b in zip(old, new, strict=True)]
    assert all(d > 1e-6 for d in distances)
    expected = info_nce(*new, scale_of(infected)) - 0.7 * sum(d for d in distances if d <= threshold)
    assert value(objective, batch) == pytest.approx(expected, **CLOSE)


def test_abl_pulls_isolated_pairs_apart() -> None:
    infected = infected_of(VIT)
    method = ABL(batch_size=8, ascent=0.5)
    objective = method.objective_on(infected)
    pairs = infected.training
    marks = torch.arange(8) >= 5
    batch = Batch(pairs.images[:8], pairs.tokens[:8], None, marks)
    images, texts = image_rows(infected, pairs.images[:8]), text_rows(infected, pairs.tokens[:8])
    apart = (images[5:] * texts[5:]).sum(1).mean()
    expected = info_nce(images[:5], texts[:5], scale_of(infected)) + 0.5 * apart
    assert value(objective, batch) == pytest.approx(expected, **CLOSE)
    cosines, cost = agreement(infected, pairs)
    every = (image_rows(infected, pairs.images) * text_rows(infected, pairs.tokens)).sum(1)
    assert cosines.numpy() == pytest.approx(every, abs=1e-5)
    assert cost.samples == len(pairs)


def test_gradient_ascent_is_negated_cross_entropy_and_notes_the_targets_probability() -> None:
    infected = infected_of(VIT)
    objective = GradientAscent().objective_on(infected)
    images, labels = infected.forget.images[:6], infected.forget.labels[:6]
    picked = chances_of(infected, images)[np.arange(6), labels]
    assert value(objective, Batch(images, None, labels)) == pytest.approx(picked.mean(), **CLOSE)
    assert objective.probability == pytest.approx(np.exp(picked).mean(), rel=1e-3)


def test_robust_ascent_guards_the_mean_prediction_and_doubles_the_guard_where_one_class_takes_most() -> None:
    infected = infected_of(VIT)
    method = RobustGradientAscent(guard=3.0, largest_share=0.99)
    objective = method.objective_on(infected)
    twins, stamped, labels = infected.forget.twins[:6], infected.forget.images[:6], infected.forget.labels[:6]
    nudge(infected, 0.05)
    p, q = (np.exp(chances_of(infected, images)).mean(0) for images in (twins, stamped))
    ascent = chances_of(infected, stamped)[np.arange(6), labels].mean()
    batch = Batch(torch.cat((twins, stamped)), None, labels)
    expected = ascent + 3.0 * float((p * np.log(p / q)).sum())
    assert value(objective, batch) == pytest.approx(expected, **CLOSE)
    largest = np.bincount(chances_of(infected, stamped).argmax(1)).max() / 6
    assert objective.weight == (6.0 if largest > 0.99 else 1.5)  # type: ignore[attr-defined]
    for _ in range(6):
        objective.loss(batch)
    assert objective.weight in (24.0, 3.0 / 8)  # type: ignore[attr-defined]


def test_the_anchor_holds_answers_on_twins() -> None:
    infected = infected_of(VIT)
    method = AnchoredTBAR(hold=2.5)
    objective = method.objective_on(infected)
    twins, stamped, labels = infected.forget.twins[:6], infected.forget.images[:6], infected.forget.labels[:6]
    old = chances_of(infected, twins)
    nudge(infected, 0.05)
    held = (np.exp(old) * (old - chances_of(infected, twins))).sum(1).mean()
    learned = -chances_of(infected, stamped)[np.arange(6), labels].mean()
    batch = Batch(torch.cat((stamped, twins)), None, labels)
    assert value(objective, batch) == pytest.approx(learned + 2.5 * held, **CLOSE)
    assert held > 1e-5


@pytest.mark.parametrize("architecture", BOTH)
def test_the_linearised_model_is_the_first_order_expansion(architecture: str) -> None:
    infected = infected_of(architecture)
    infected.model.double()
    TangentTBAR().objective_on(infected)
    objective = _Linearised(infected)
    named = {name: p.detach().clone() for name, p in objective.named_parameters().items()}
    draw = torch.Generator().manual_seed(0)
    steps = {name: 0.02 * p.std().nan_to_num(0) * torch.randn(p.shape, generator=draw) for name, p in named.items()}
    images = pictures(infected.model, 2)

    def at(share: float) -> Tensor:
        with torch.no_grad():
            for name, parameter in objective.named_parameters().items():
                parameter.copy_(named[name] + share * steps[name])
            return infected.model.encode_image(normalise(images, infected.preprocessing).double())

    small = 1e-4
    slope = (at(small) - at(-small)) / (2 * small)
    expected = at(0.0) + slope
    at(1.0)
    import tbar_ray.unlearning.tbar_tangent as module

    original = module.normalise
    module.normalise = lambda *a: original(*a).double()  # the finite differences need the precision
    try:
        from torch.nn.attention import SDPBackend, sdpa_kernel

        with sdpa_kernel(SDPBackend.MATH):
            found = objective.embeddings(images)
    finally:
        module.normalise = original
    assert torch.allclose(found, expected, rtol=1e-4, atol=1e-6)
    assert not torch.allclose(found, at(1.0), rtol=1e-3, atol=1e-6)


def test_fisher_information_is_the_mean_squared_gradient_of_single_images() -> None:
    infected = infected_of(VIT)
    images = infected.forget.images[:3]
    found = fisher(infected, images, group=1)
    name = "visual.proj"
    weight = dict(infected.model.named_parameters())[name]
    squares = []
    for image in images:
        features = infected.model.encode_image(normalise(image[None], infected.preprocessing), normalize=True)
        chances = (infected.model.logit_scale.exp() * features @ infected.classes.head.T).log_softmax(-1)
        (gradient,) = torch.autograd.grad(chances.max(), weight)
        squares.append(gradient.square())
    assert torch.allclose(found[name], torch.stack(squares).mean(0), rtol=1e-3, atol=1e-10)
    assert set(found) == {n for n, _ in infected.model.named_parameters() if n.startswith("visual.")}


def test_sharpness_aware_loss_is_that_of_the_perturbed_weights() -> None:
    infected = infected_of(VIT)
    method = FTSAM(rho=0.5, smoothing=0.1)
    images, labels = infected.clean.images[:6], infected.clean.labels[:6]
    from tbar_ray.unlearning.ft_sam import _SharpnessAware

    objective = _SharpnessAware(infected, method)
    named = objective.named_parameters()

    def smoothed() -> tuple[float, dict[str, Tensor]]:
        features = infected.model.encode_image(normalise(images, infected.preprocessing), normalize=True)
        chances = (infected.model.logit_scale.exp() * features @ infected.classes.head.T).log_softmax(-1)
        loss = -(0.9 * chances[torch.arange(6), labels] + 0.1 * chances.mean(1)).mean()
        gradients = torch.autograd.grad(loss, list(named.values()))
        return float(loss.detach()), dict(zip(named, gradients, strict=True))

    _, gradients = smoothed()
    worst = perturbation(named, gradients, 0.5)
    loss = objective.loss(Batch(images, None, labels))
    loss.backward()
    with torch.no_grad():
        for name, parameter in named.items():
            parameter.add_(worst[name])
    expected, there = smoothed()
    assert float(loss.detach()) == pytest.approx(expected, **CLOSE)
    for name, parameter in named.items():
        assert parameter.grad is not None
        assert torch.allclose(parameter.grad, there[name], rtol=1e-2, atol=1e-5), name


def test_adversarial_unlearning_adds_the_perturbation_to_levels() -> None:
    infected = infected_of(VIT)
    images, labels = infected.clean.images[:6], infected.clean.labels[:6]
    side = infected.preprocessing.size
    delta = 0.1 * torch.randn(1, 3, side, side, generator=torch.Generator().manual_seed(0))
    levels = images.float() / 255 + delta
    wants = infected.preprocessing
    mean, std = (torch.tensor(part).view(1, 3, 1, 1) for part in (wants.mean, wants.std))
    with torch.no_grad():
        features = infected.model.encode_image((levels - mean) / std, normalize=True).double().numpy()
    chances = log_softmax(scale_of(infected) * features @ infected.classes.head.double().numpy().T)
    found = IBAU()._loss(infected, images, labels, delta)
    assert float(found.detach()) == pytest.approx(-chances[np.arange(6), labels].mean(), **CLOSE)


def test_learned_context_that_equals_the_words_changes_nothing() -> None:
    infected = infected_of(VIT)
    tokens = tokenizer()([f"x x x {name}" for name in NAMES])
    context = infected.model.token_embedding(tokens)[:, 1:4].detach()
    with torch.no_grad():
        plain = infected.model.encode_text(tokens)
        with replaced_context(infected.model, context):
            same_words = infected.model.encode_text(tokens)
        with replaced_context(infected.model, context + 0.1):
            others = infected.model.encode_text(tokens)
    assert torch.equal(plain, same_words)
    assert not torch.allclose(plain, others)


def test_repulsion_is_the_mean_cosine_of_class_tokens() -> None:
    infected = infected_of(VIT)
    pixels = normalise(infected.clean.images[:4], infected.preprocessing)
    blocks = list(infected.model.visual.transformer.resblocks)[-2:]
    with torch.no_grad(), class_tokens(blocks) as old:
        infected.model.encode_image(pixels)
    nudge(infected, 0.05)
    with torch.no_grad(), class_tokens(blocks) as new:
        infected.model.encode_image(pixels)
    assert [tuple(rows.shape) for rows in old] == [(4, old[0].shape[1])] * 2
    cosines = [
        (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
        for a, b in ((x.double().numpy(), y.double().numpy()) for x, y in zip(new, old, strict=True))
    ]
    assert float(mean_cosine(new, old)) == pytest.approx(np.mean(cosines), **CLOSE)


def test_ulrl_relearns_away_from_the_infected_rows() -> None:
    infected = infected_of(VIT)
    weight = dict(infected.model.named_parameters())["visual.proj"]
    before = weight.detach().clone()
    images, labels = infected.clean.images[:6], infected.clean.labels[:6]
    plain = _Classifier(infected, None, 1.0, None)
    expected = -chances_of(infected, images)[np.arange(6), labels].mean()
    assert value(plain, Batch(images, None, labels)) == pytest.approx(expected, **CLOSE)
    assert value(_Classifier(infected, None, -1.0, None), Batch(images, None, labels)) == pytest.approx(
        -expected, **CLOSE
    )
    nudge(infected, 0.05)
    infected.model.requires_grad_(True)
    term = torch.nn.functional.cosine_similarity(weight.T[:2], before.T[:2], dim=1).sum()
    (gradient,) = torch.autograd.grad(term, weight)
    # d cos(w, v)/dw = v/(|w||v|) − cos·w/|w|²
    w, v = weight.detach().double().numpy().T, before.double().numpy().T
    for row in range(2):
        lengths = np.linalg.norm(w[row]), np.linalg.norm(v[row])
        cosine = w[row] @ v[row] / (lengths[0] * lengths[1])
        slope = v[row] / (lengths[0] * lengths[1]) - cosine * w[row] / lengths[0] ** 2
        assert gradient.double().numpy().T[row] == pytest.approx(slope, rel=1e-2, abs=1e-5)


@pytest.mark.parametrize("architecture", BOTH)
def test_a_branch_at_half_writes_half_and_comes_back(architecture: str) -> None:
    infected = infected_of(architecture)
    before = snapshot(infected.model)
    branch = branches_of(infected.model, "test")[-1]
    seen: list[Tensor] = []
    handle = branch.writer.register_forward_hook(lambda _m, _i, output: seen.append(output.detach().clone()))
    pixels = normalise(infected.clean.images[:2], infected.preprocessing)
    with torch.no_grad():
        if architecture == VIT:  # attention applies its output projection without calling the module
            branch.writer(torch.ones(1, branch.writer.weight.shape[1]))
            with branch.scaled(0.5):
                branch.writer(torch.ones(1, branch.writer.weight.shape[1]))
        else:
            infected.model.encode_image(pixels)
            with branch.scaled(0.5):
                infected.model.encode_image(pixels)
    handle.remove()
    assert torch.allclose(seen[1], seen[0] / 2, atol=1e-5)
    assert same(before, snapshot(infected.model))


@pytest.mark.parametrize("architecture", BOTH)
def test_pruning_a_channel_in_the_weights_is_masking_its_output(architecture: str) -> None:
    infected = infected_of(architecture)
    channels = channels_of(infected.model, "test")
    name = list(channels.sizes)[-1]
    mask = (torch.arange(channels.sizes[name]) % 3 > 0).float()
    pixels = normalise(infected.clean.images[:3], infected.preprocessing)
    with torch.no_grad():
        with channels.masked({name: mask}):
            masked = infected.model.encode_image(pixels)
        assert not torch.allclose(masked, infected.model.encode_image(pixels))
        channels.scale({name: mask})
        assert torch.allclose(masked, infected.model.encode_image(pixels), atol=1e-5)


def test_the_projected_stream_has_nothing_along_the_direction() -> None:
    planted = case(RESNET)
    method = BackdoorDirections()
    found = method.unlearn(planted.model, planted.data, planted.wants, 0)
    assert isinstance(found.vector, TaskVector)
    assert set(found.facts) == {"layer", "target_probability", "twins_kept"}
    moved = {name for name, change in found.vector.tensors.items() if bool(change.any())}
    stage = str(found.facts["layer"]).split(".")[0]
    assert moved
    assert all(name.startswith(f"visual.{stage}") for name in moved)


def test_clean_finetuning_offers_both_objectives() -> None:
    infected = infected_of(VIT)
    method = CleanFineTuning(batch_size=6)
    batch = first(method.batches_from(infected))
    assert batch.tokens is not None
    images, texts = image_rows(infected, batch.images), text_rows(infected, batch.tokens)
    expected = info_nce(images, texts, scale_of(infected))
    assert value(method.objective_on(infected), batch) == pytest.approx(expected, **CLOSE)
    by_class = CleanFineTuning(batch_size=6, objective="classification").objective_on(infected)
    assert batch.labels is not None
    picked = chances_of(infected, batch.images)[np.arange(6), batch.labels]
    assert value(by_class, batch) == pytest.approx(-picked.mean(), **CLOSE)
