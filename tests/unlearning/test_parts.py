"""What methods are made of beside their losses: expansions, gradients, branches, channels, contexts, projections."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from tbar_ray.evaluation.zeroshot import normalise
from tbar_ray.models.task_vector import TaskVector
from tbar_ray.training.batch import Batch
from tbar_ray.unlearning.blocks import branches_of
from tbar_ray.unlearning.channels import channels_of
from tbar_ray.unlearning.methods.backdoor_directions import BackdoorDirections, _candidates
from tbar_ray.unlearning.methods.cbpt import replaced_context
from tbar_ray.unlearning.methods.ft_sam import FTSAM, perturbation
from tbar_ray.unlearning.methods.tbar_fisher import fisher
from tbar_ray.unlearning.methods.tbar_tangent import TangentTBAR, _Linearised
from tests.models.tiny import ALL, BOTH, CONVNEXT, RESNET, VIT, pictures, same, snapshot, tokenizer
from tests.unlearning.formulas import CLOSE, infected_of
from tests.unlearning.planted import NAMES, case


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
    import tbar_ray.unlearning.methods.tbar_tangent as module

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
    from tbar_ray.unlearning.methods.ft_sam import _SharpnessAware

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


@pytest.mark.parametrize("architecture", ALL)
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


@pytest.mark.parametrize("architecture", ALL)
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
    found = method.unlearn(planted.model, planted.data, planted.preprocess, 0)
    assert isinstance(found.vector, TaskVector)
    assert set(found.facts) == {"layer", "target_probability", "twins_kept"}
    moved = {name for name, change in found.vector.tensors.items() if bool(change.any())}
    stage = str(found.facts["layer"]).split(".")[0]
    assert moved
    assert all(name.startswith(f"visual.{stage}") for name in moved)


def test_a_stage_of_a_convnext_writes_nothing_along_a_projected_direction() -> None:
    infected = infected_of(CONVNEXT)
    candidates = _candidates(infected.model, "test")
    assert list(candidates) == [*(f"trunk.stages.{number}" for number in (1, 2, 3)), "embedding"]
    pixels = normalise(infected.clean.images[:2], infected.preprocessing)
    for name, module in (
        ("trunk.stages.2", infected.model.visual.trunk.stages[2]),
        ("embedding", infected.model.visual),
    ):
        seen: list[Tensor] = []
        handle = module.register_forward_hook(lambda _m, _i, output, seen=seen: seen.append(output.detach()))
        with torch.no_grad():
            infected.model.encode_image(pixels)
            direction = torch.randn(seen[0].shape[1], generator=torch.Generator().manual_seed(1))
            direction /= direction.norm()
            candidates[name](direction)
            infected.model.encode_image(pixels)
        handle.remove()
        before, after = (torch.tensordot(direction, output, dims=([0], [1])) for output in seen)
        assert before.abs().max() > 1e-3
        assert after.abs().max() < 1e-4
