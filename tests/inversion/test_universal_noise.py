from __future__ import annotations

import pytest
import torch

from tbar_ray.errors import DataError
from tbar_ray.inversion.side_by_side import rms
from tbar_ray.inversion.target import infer_target
from tbar_ray.inversion.universal_noise import UniversalNoise, coloured_noise
from tests.inversion import planted
from tests.inversion.encoders import CLASSES, TARGET, subject

SEARCH = UniversalNoise(norm=0.06, steps=30, refine=20)


def test_a_backdoor_is_the_easiest_class_by_far() -> None:
    found = SEARCH.invert(subject(8.0), 0)
    assert found.target == TARGET
    assert found.facts["refined rate"] == 1.0
    assert len(found.by_class) == CLASSES
    clean = SEARCH.invert(subject(), 0)
    assert clean.score is not None
    assert found.score is not None
    assert found.score > clean.score


def test_noise_keeps_its_norm() -> None:
    found = SEARCH.invert(subject(8.0), 0)
    assert found.trigger is not None
    grey = torch.full((1, 3, 16, 16), 0.5)
    change = found.trigger(grey, ["a"]) - grey
    assert float(change.pow(2).mean().sqrt()) == pytest.approx(0.06, rel=0.1)
    assert torch.allclose(rms(SEARCH.start(3, 8, 0)).flatten(), torch.full((3,), 0.006))


def test_noise_of_a_class_does_not_depend_on_the_others() -> None:
    assert torch.equal(SEARCH.start(5, 8, 0)[2], SEARCH.start(3, 8, 0)[2])
    assert not torch.equal(SEARCH.start(5, 8, 0)[2], SEARCH.start(5, 8, 1)[2])


def test_chunks_do_not_change_the_result() -> None:
    whole, parts = (SEARCH.model_copy(update={"at_once": size}).invert(subject(8.0), 0) for size in (512, 16))
    assert whole.target == parts.target
    assert whole.by_class == pytest.approx(parts.by_class, abs=1e-4)


def test_the_loss_falls_and_is_reported() -> None:
    told: list[tuple[int, int, float]] = []
    SEARCH.invert(subject(8.0), 0, lambda step, steps, loss: told.append((step, steps, loss)))
    assert [step for step, _, _ in told] == list(range(1, 51))
    assert {steps for _, steps, _ in told} == {50}
    assert told[29][2] < told[0][2]  # of all classes
    assert told[-1][2] <= told[30][2]  # of the easiest


def test_it_needs_classes() -> None:
    with pytest.raises(DataError, match="no text tower"):
        SEARCH.invert(subject(head=False), 0)


@pytest.mark.parametrize("target", [planted.TARGET, 6])
def test_the_target_of_a_faint_picture_is_found_and_its_noise_leads_there(target: int) -> None:
    made = planted.subject("picture", target)
    found = UniversalNoise(norm=0.05, steps=10, refine=20).invert(made, 0)
    assert found.target == target
    assert found.score is not None
    assert found.score > 10
    assert found.trigger is not None
    assert infer_target(made, found.trigger).target == target
    assert found.images == 8 * 8 * 10 + 64 * 20


def test_no_class_of_a_clean_model_stands_out() -> None:
    score = UniversalNoise(norm=0.05, steps=10, refine=20).invert(planted.subject("clean"), 0).score
    assert score is not None
    assert score < 5


def test_drawn_images_find_the_target_as_well_and_no_given_one_is_looked_at() -> None:
    made = planted.subject("picture")
    search = UniversalNoise(norm=0.05, steps=10, refine=20, source="drawn")
    found = search.invert(made, 0)
    assert found.target == planted.TARGET
    made.images.zero_()
    assert search.invert(made, 0) == found


def test_coloured_noise_fills_the_range_and_is_smooth() -> None:
    images = coloured_noise(4, 32, 0)
    assert images.shape == (4, 3, 32, 32)
    assert torch.equal(images.amin((2, 3)), torch.zeros(4, 3))
    assert torch.equal(images.amax((2, 3)), torch.ones(4, 3))
    assert images.diff(dim=3).abs().mean() < images.std() / 4
    assert not torch.equal(images[0], images[1])
    assert not torch.equal(images, coloured_noise(4, 32, 1))
