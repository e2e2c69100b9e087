from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from tbar_ray.models.task_vector import TaskVector
from tbar_ray.unlearning.base import Infected
from tbar_ray.unlearning.methods import backdoor_directions
from tbar_ray.unlearning.methods.backdoor_directions import BackdoorDirections
from tests.models.tiny import CONVNEXT, GROUP_NORM, RESNET, VIT, snapshot
from tests.unlearning.formulas import chances_of, infected_of, noise
from tests.unlearning.planted import TARGET, case
from tests.unlearning.reference import NEAR, distance, pixels


def test_the_direction_of_the_best_layer_is_projected_out_of_what_writes_it() -> None:
    planted = case(VIT)
    infected = Infected(planted.model, snapshot(planted.model), planted.data, planted.preprocess, 0)
    forget, start = infected.forget, {name: value.double().numpy() for name, value in infected.start.items()}
    blocks = list(infected.model.visual.transformer.resblocks)
    ends = ("attn.out_proj", "mlp.c_proj")
    writers = [f"visual.transformer.resblocks.{n}.{end}" for n in range(len(blocks)) for end in ends]

    @torch.no_grad()
    def features(images: Tensor) -> list[np.ndarray]:
        """Return the mean over tokens after every block, and the embedding."""
        seen_there: list[np.ndarray] = []
        hooks = [
            b.register_forward_hook(lambda _m, _i, o: seen_there.append(o.mean(1).double().numpy())) for b in blocks
        ]
        embedding = infected.model.encode_image(pixels(infected, images)).double().numpy()
        for hook in hooks:
            hook.remove()
        return [*seen_there, embedding]

    def edited(layer: int, direction: np.ndarray) -> dict[str, np.ndarray]:
        rest = np.eye(len(direction)) - np.outer(direction, direction)
        if layer == len(blocks):
            return {"visual.proj": start["visual.proj"] @ rest}
        return {f"{w}.{part}": rest @ start[f"{w}.{part}"] for w in writers for part in ("weight", "bias")}

    try:
        found = BackdoorDirections(keep=0.9).find(infected)
        infected.restore()
        before = chances_of(infected, forget.twins).argmax(1)
        edits, outcomes = [], []
        for layer, (stamped, plain) in enumerate(zip(features(forget.images), features(forget.twins), strict=True)):
            direction = (stamped - plain).mean(0)
            edits.append(edited(layer, direction / np.linalg.norm(direction)))
        for edit in edits:
            moved = {name: torch.from_numpy(value).float() for name, value in edit.items()}
            infected.model.load_state_dict({**infected.start, **moved})
            kept = float((chances_of(infected, forget.twins).argmax(1) == before).mean())
            outcomes.append((float(np.exp(chances_of(infected, forget.images))[:, TARGET].mean()), kept))
        good = [layer for layer, (_, kept) in enumerate(outcomes) if kept >= 0.9]
        best = min(good, key=lambda layer: outcomes[layer][0])
        assert len({chance for chance, _ in outcomes}) > 1
        assert distance(found.edit.vector, {name: value - start[name] for name, value in edits[best].items()}) < NEAR
        assert found.facts["target_probability"] == pytest.approx(outcomes[best][0], abs=1e-3)
        assert found.facts["twins_kept"] == pytest.approx(outcomes[best][1])
    finally:
        infected.restore()


def test_a_direction_is_projected_out_of_what_a_matrix_writes() -> None:
    matrix, direction = noise(8, 5), torch.nn.functional.normalize(noise(8, seed=1), dim=0)
    written = backdoor_directions.project_out(matrix, direction) @ noise(5, seed=2)
    assert float(written @ direction) == pytest.approx(0, abs=1e-5)
    rest = torch.eye(8) - torch.outer(direction, direction)
    assert torch.allclose(written, rest @ matrix @ noise(5, seed=2), atol=1e-5)


def test_a_direction_is_projected_out_of_a_convolution_and_its_norm() -> None:
    convolution, norm = torch.nn.Conv2d(3, 6, 3, bias=False), torch.nn.BatchNorm2d(6).eval()
    with torch.no_grad():
        for number, tensor in enumerate((convolution.weight, norm.weight, norm.bias, norm.running_mean)):
            assert tensor is not None
            tensor.copy_(noise(*tensor.shape, seed=number))
        assert norm.running_var is not None
        norm.running_var.copy_(noise(6, seed=9).square() + 0.5)
        norm.weight[2] = 0.0  # a channel that the convolution does not reach
    direction = torch.nn.functional.normalize(noise(6, seed=5) * (torch.arange(6) != 2), dim=0)
    images = noise(2, 3, 7, 7, seed=6)
    before = norm(convolution(images))
    backdoor_directions.project_affine(convolution, norm, direction)
    after = norm(convolution(images))
    along = torch.einsum("bchw,c->bhw", before, direction)
    assert float(torch.einsum("bchw,c->bhw", after, direction).detach().abs().max()) < 1e-4
    assert torch.allclose(after, before - torch.einsum("bhw,c->bchw", along, direction), atol=1e-4)


def test_the_projected_stream_has_nothing_along_the_direction() -> None:
    planted = case(RESNET)
    method = BackdoorDirections()
    found = method.unlearn(planted.model, planted.data, planted.preprocess, 0)
    assert isinstance(found.edit.vector, TaskVector)
    assert set(found.facts) == {"layer", "target_probability", "twins_kept"}
    moved = {name for name, change in found.edit.vector.tensors.items() if bool(change.any())}
    stage = str(found.facts["layer"]).split(".")[0]
    assert moved
    assert all(name.startswith(f"visual.{stage}") for name in moved)


def test_a_stage_of_a_convnext_writes_nothing_along_a_projected_direction() -> None:
    infected = infected_of(CONVNEXT)
    candidates = backdoor_directions._candidates(infected.model, "test")
    assert list(candidates) == [*(f"trunk.stages.{number}" for number in (1, 2, 3)), "embedding"]
    inputs = pixels(infected, infected.clean.images[:2])
    for name, module in (
        ("trunk.stages.2", infected.model.visual.trunk.stages[2]),
        ("embedding", infected.model.visual),
    ):
        seen: list[Tensor] = []
        handle = module.register_forward_hook(lambda _m, _i, output, seen=seen: seen.append(output.detach()))
        with torch.no_grad():
            infected.model.encode_image(inputs)
            direction = torch.randn(seen[0].shape[1], generator=torch.Generator().manual_seed(1))
            direction /= direction.norm()
            candidates[name](direction)
            infected.model.encode_image(inputs)
        handle.remove()
        before, after = (torch.tensordot(direction, output, dims=([0], [1])) for output in seen)
        assert before.abs().max() > 1e-3
        assert after.abs().max() < 1e-4


def test_of_a_resnet_with_group_norm_only_the_output_projection_is_a_candidate() -> None:
    infected = infected_of(GROUP_NORM)
    candidates = backdoor_directions._candidates(infected.model, "test")
    assert list(candidates) == ["embedding"]
    inputs = pixels(infected, infected.clean.images[:2])
    with torch.no_grad():
        before = infected.model.encode_image(inputs)
        direction = torch.nn.functional.normalize(before[0], dim=0)
        candidates["embedding"](direction)
        after = infected.model.encode_image(inputs)
    assert (before @ direction).abs().max() > 1e-3
    assert (after @ direction).abs().max() < 1e-4
