from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tbar_ray.errors import ScientificError
from tbar_ray.evaluation.zeroshot import normalise
from tbar_ray.models.factory import preprocessing
from tbar_ray.models.task_vector import TaskVector
from tbar_ray.models.visual_prompts import prompted
from tbar_ray.unlearning.edit import Edit, EditedModel
from tests.models.tiny import RESNET, VIT, pictures, same, snapshot, tiny

HEAD = torch.nn.functional.normalize(torch.eye(4, 64), dim=-1)


def change(model: torch.nn.Module, prefix: str = "visual.", size: float = 0.01) -> TaskVector:
    draw = torch.Generator().manual_seed(0)
    return TaskVector(
        {
            name: size * torch.randn(value.shape, generator=draw) * float(name.startswith(prefix))
            for name, value in model.state_dict().items()
            if value.is_floating_point()
        },
        tuple(name for name, value in model.state_dict().items() if not value.is_floating_point()),
    )


def test_an_edit_is_read_as_it_was_written(tmp_path: Path) -> None:
    model = tiny(VIT)
    vector, head, prompts = change(model), torch.rand(4, 64), torch.rand(2, 3, 96)
    for number, edit in enumerate((Edit(vector), Edit(vector, head), Edit(vector, head, prompts))):
        folder = tmp_path / str(number)
        folder.mkdir()
        edit.save(folder)
        found = Edit.load(folder)
        assert same(found.vector.tensors, vector.tensors)
        for part, expected in ((found.head, edit.head), (found.prompts, edit.prompts)):
            assert (part is None) == (expected is None)
            assert part is None or torch.equal(part, expected)  # type: ignore[arg-type]


@pytest.mark.parametrize("coefficient", [-2.0, 0.0, 0.5])
def test_weights_move_along_the_vector_and_come_back(coefficient: float) -> None:
    model = tiny(RESNET).eval()
    before, vector = snapshot(model), change(model)
    with EditedModel(model, Edit(vector), HEAD).at(coefficient) as (moved, head):
        assert torch.equal(head, HEAD)  # type: ignore[arg-type]
        for name, value in vector.tensors.items():
            assert torch.allclose(moved.state_dict()[name], before[name] + coefficient * value, atol=1e-6)
    assert same(before, snapshot(model))


def test_a_head_must_be_made_anew_where_the_text_encoder_moves() -> None:
    model = tiny(RESNET).eval()
    edited = EditedModel(model, Edit(change(model, "transformer.")), HEAD)
    with edited.at(1.0) as (_, head):
        assert head is None
    with edited.at(0.0) as (_, head):
        assert head is HEAD


def test_an_edits_own_head_is_mixed_with_the_infected_models() -> None:
    model, own = tiny(RESNET).eval(), 3 * torch.eye(4, 64).roll(1, 0)
    edited = EditedModel(model, Edit(change(model, "nothing"), own), HEAD)
    with edited.at(1.0) as (_, head):
        assert head is not None
        assert torch.allclose(head, own / 3, atol=1e-6)
    with edited.at(0.5) as (_, head):
        assert head is not None
        assert torch.allclose(head, torch.nn.functional.normalize(HEAD + own / 3, dim=-1), atol=1e-6)


def embed(model: torch.nn.Module) -> torch.Tensor:
    with torch.no_grad():
        return model.encode_image(normalise(pictures(model, 2), preprocessing(model)))


def test_learned_tokens_are_there_or_not() -> None:
    model = tiny(VIT).eval()
    width = model.visual.class_embedding.shape[-1]
    prompts = torch.randn(2, 3, width, generator=torch.Generator().manual_seed(0))
    plain = embed(model)
    edited = EditedModel(model, Edit(change(model, "nothing"), prompts=prompts), HEAD)
    with edited.at(1.0) as (moved, _):
        changed = embed(moved)
    with edited.at(0.0) as (moved, _):
        assert torch.equal(embed(moved), plain)
    assert not torch.allclose(changed, plain, atol=1e-3)
    assert torch.equal(embed(model), plain)


def test_every_layer_sees_its_own_tokens_and_none_of_the_layer_before() -> None:
    model = tiny(VIT).eval()
    blocks, width = model.visual.transformer.resblocks, model.visual.class_embedding.shape[-1]
    prompts = torch.arange(2.0)[:, None, None].expand(2, 3, width).contiguous().requires_grad_(True)
    seen: list[torch.Tensor] = []
    handles = [block.ln_1.register_forward_pre_hook(lambda _, a: seen.append(a[0].detach())) for block in blocks]
    with prompted(model, prompts):
        model.encode_image(normalise(pictures(model, 2), preprocessing(model))).sum().backward()
    for handle in handles:
        handle.remove()
    plain = seen[0].shape[1]
    assert [tokens.shape[1] for tokens in seen] == [plain] * (len(blocks) - 2) + [plain + 3] * 2
    assert bool((seen[-2][:, 1:4] == 0).all())
    assert bool((seen[-1][:, 1:4] == 1).all())
    assert prompts.grad is not None
    assert bool(prompts.grad.any())


def test_learned_tokens_need_a_transformer_with_as_many_blocks() -> None:
    with (
        pytest.raises(ScientificError, match="visual prompts needs a vision transformer"),
        prompted(tiny(RESNET), torch.zeros(1, 1, 8)),
    ):
        pass
    with (
        pytest.raises(ScientificError, match=r"for 99 layers, but the image encoder has \d+ blocks"),
        prompted(tiny(VIT), torch.zeros(99, 1, 96)),
    ):
        pass
