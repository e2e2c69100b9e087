import math

import pytest
import torch
from pydantic import ValidationError

from tbar_ray.training.optimisation import autocast, build_optimizer, learning_rate_at
from tbar_ray.training.options import Optimisation
from tests.models.tiny import BOTH, RESNET, VIT, tiny


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        (0, 0.25),
        (1, 0.5),
        (3, 1.0),
        (4, 1.0),
        (9, (1 + math.cos(math.pi / 4)) / 2),
        (14, 0.5),
        (23, (1 + math.cos(math.pi * 19 / 20)) / 2),
        (24, 0.0),
        (99, 0.0),
    ],
)
def test_cosine_after_a_linear_warm_up(step: int, expected: float) -> None:
    options = Optimisation(learning_rate=2e-3, warmup_steps=4)
    assert learning_rate_at(step, 24, options) == pytest.approx(2e-3 * expected, abs=1e-12)


@pytest.mark.parametrize(("step", "expected"), [(0, 0.5), (1, 1.0), (2, 1.0), (9, 1.0), (50, 1.0)])
def test_constant_after_a_linear_warm_up(step: int, expected: float) -> None:
    options = Optimisation(learning_rate=0.1, warmup_steps=2, schedule="constant")
    assert learning_rate_at(step, 10, options) == pytest.approx(0.1 * expected)


def test_a_warm_up_longer_than_the_training_never_peaks() -> None:
    options = Optimisation(learning_rate=1, warmup_steps=10)
    assert [learning_rate_at(step, 5, options) for step in range(5)] == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5])


@pytest.mark.parametrize("architecture", BOTH)
def test_norms_biases_and_the_logit_scale_do_not_decay(architecture: str) -> None:
    model = tiny(architecture)
    optimizer = build_optimizer(dict(model.named_parameters()), Optimisation(learning_rate=1, weight_decay=0.3))
    decay = {id(p): group["weight_decay"] for group in optimizer.param_groups for p in group["params"]}
    norms = (torch.nn.LayerNorm, torch.nn.BatchNorm2d)
    exempt = {id(p) for m in model.modules() if isinstance(m, norms) for p in m.parameters()}
    exempt |= {id(p) for name, p in model.named_parameters() if name.endswith("bias")} | {id(model.logit_scale)}
    assert decay.keys() == {id(p) for p in model.parameters()}
    assert all(decay[key] == 0 for key in exempt)
    matrices = {"text_projection": model.text_projection, "tokens": model.token_embedding.weight}
    if architecture == VIT:
        matrices |= {"patches": model.visual.conv1.weight, "projection": model.visual.proj}
        vectors = [model.visual.class_embedding]
    else:
        matrices |= {"stem": model.visual.conv1.weight, "pool": model.visual.attnpool.q_proj.weight}
        vectors = []
    assert all(decay[id(p)] == 0.3 for p in matrices.values())
    assert all(decay[id(p)] == 0 for p in vectors)
    assert sum(d > 0 for d in decay.values()) == sum(p.ndim > 1 for p in model.parameters())


def test_one_step_is_adamw() -> None:
    matrix = torch.nn.Parameter(torch.tensor([[1.0, -2.0]]))
    bias = torch.nn.Parameter(torch.tensor([3.0]))
    optimizer = build_optimizer({"w": matrix, "b": bias}, Optimisation(learning_rate=0.1, weight_decay=0.5))
    (matrix.sum() - bias.sum()).backward()
    optimizer.step()
    # the first step of Adam is lr·sign(gradient); decay takes lr·decay of the matrix and none of the bias
    torch.testing.assert_close(matrix.data, torch.tensor([[0.95 - 0.1, -1.9 - 0.1]]), atol=1e-5, rtol=0)
    torch.testing.assert_close(bias.data, torch.tensor([3.1]), atol=1e-5, rtol=0)
    assert optimizer.param_groups[0]["betas"] == (0.9, 0.98)


def test_either_group_may_be_empty() -> None:
    matrix = torch.nn.Parameter(torch.ones(2, 2))
    build_optimizer({"w": matrix}, Optimisation(learning_rate=0.1)).step()
    matrix.sum().backward()
    build_optimizer({"w": matrix}, Optimisation(learning_rate=0.1, weight_decay=0)).step()
    torch.testing.assert_close(matrix.data, torch.full((2, 2), 0.9), atol=1e-5, rtol=0)


@pytest.mark.parametrize(("precision", "expected"), [("auto", torch.float32), ("bf16", torch.bfloat16)])
def test_precision_on_the_cpu(precision: str, expected: torch.dtype) -> None:
    with autocast(torch.device("cpu"), Optimisation(learning_rate=1, precision=precision).precision):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == expected


@pytest.mark.parametrize(
    "values",
    [
        {"learning_rate": 0},
        {"learning_rate": 1, "beta2": 1.0},
        {"learning_rate": 1, "clip_norm": 0},
        {"learning_rate": 1, "schedule": "step"},
        {"learning_rate": 1, "lr": 1},
        {},
    ],
)
def test_hyper_parameters_out_of_range_are_refused(values: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Optimisation(**values)


def test_the_resnet_has_batch_norm_to_exempt() -> None:
    assert any("bn" in name for name, _ in tiny(RESNET).named_parameters())
