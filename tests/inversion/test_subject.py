from __future__ import annotations

import pytest
import torch

from tbar_ray.errors import DataError
from tbar_ray.inversion.subject import Subject, chunks, draws
from tests.inversion.encoders import PREPROCESSING, Encoder, images, subject


def test_too_few_images_and_images_of_another_kind_are_refused() -> None:
    with pytest.raises(DataError, match="needs 32 clean images or more, got 31"):
        subject(count=31)
    for wrong in (images().float(), images()[:, :, :8], images()[:, :1]):
        with pytest.raises(DataError, match=r"needs uint8 images \[N, 3, 16, 16\]"):
            Subject(Encoder(), PREPROCESSING, wrong)


def test_classes_of_a_vision_tower_alone_are_asked_for_in_one_line() -> None:
    with pytest.raises(DataError, match="no text tower"):
        _ = subject(head=False).classes


def test_the_two_parts_hold_every_image_once_and_depend_on_the_seed() -> None:
    made = subject()
    fitted, held = made.halves(0)
    assert (len(fitted), len(held)) == (48, 16)
    both = torch.cat((fitted, held)).mul(255).round().to(torch.uint8)
    assert {row.numpy().tobytes() for row in both} == {row.numpy().tobytes() for row in made.images}
    assert torch.equal(fitted, made.halves(0)[0])
    assert not torch.equal(fitted, made.halves(1)[0])


def test_the_model_is_frozen_inside_and_as_before_afterwards() -> None:
    made = subject()
    made.model.train()
    with made.frozen():
        assert not made.model.training
        assert not made.model.weight.requires_grad
        pixels = torch.rand(2, 3, 16, 16, requires_grad=True)
        made.embed(pixels).sum().backward()
        assert pixels.grad is not None
    assert made.model.training
    assert made.model.weight.requires_grad
    assert made.model.weight.grad is None


def test_embeddings_are_of_normalised_pixels_and_have_unit_length() -> None:
    plain = subject()
    shifted = Subject(plain.model, PREPROCESSING.__class__(16, (0.5,) * 3, (2.0,) * 3, "bicubic"), plain.images)
    pixels = torch.rand(3, 3, 16, 16)
    assert torch.allclose(shifted.embed(pixels), plain.embed((pixels - 0.5) / 2))
    assert torch.allclose(plain.embed(pixels).norm(dim=1), torch.ones(3))


def test_draws_show_every_image_before_any_again() -> None:
    rows = draws(10, 5, 0, "test")
    first = torch.cat([next(rows), next(rows)])
    assert sorted(first.tolist()) == list(range(10))
    assert [batch.tolist() for batch, _ in zip(draws(10, 5, 0, "test"), range(2), strict=False)] == [
        first[:5].tolist(), first[5:].tolist(),
    ]  # fmt: skip
    assert len(next(draws(3, 8, 0, "test"))) == 8


def test_chunks_cover_all_rows() -> None:
    assert [list(range(7))[part] for part in chunks(7, 3)] == [[0, 1, 2], [3, 4, 5], [6]]
    assert len(list(chunks(3, 0))) == 3
