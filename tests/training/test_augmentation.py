import pytest
import torch
from pydantic import ValidationError

from tbar_ray.training.augmentation import Augmented, cropped
from tbar_ray.training.batch import Batch
from tbar_ray.training.options import Augmentation


def images(count: int = 6) -> torch.Tensor:
    return torch.randint(0, 256, (count, 3, 16, 16), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


def test_the_whole_image_in_the_middle_is_the_image() -> None:
    pictures = images()
    one, none = torch.ones(6), torch.zeros(6, 2)
    assert torch.allclose(cropped(pictures, one, none, torch.zeros(6, dtype=torch.bool)), pictures.float(), atol=1e-2)
    mirrored = cropped(pictures, one, none, torch.ones(6, dtype=torch.bool))
    assert torch.allclose(mirrored, pictures.flip(-1).float(), atol=1e-2)


def test_a_crop_shows_its_part_of_the_image() -> None:
    picture = torch.zeros(1, 3, 16, 16, dtype=torch.uint8)
    picture[..., 8:, 8:] = 200
    shift = torch.tensor([[0.5, 0.5]])  # the lower right quarter
    crop = cropped(picture, torch.tensor([0.5]), shift, torch.tensor([False]))
    assert float(crop[..., 2:, 2:].min()) == pytest.approx(200, abs=1e-3)


def test_draws_depend_on_seed_and_step_alone() -> None:
    batch = Batch(images(), keys=tuple("abcdef"))
    augmented = Augmented(Augmentation(crop=(0.5, 0.9), mirror=0.5), seed=3)
    first = augmented(batch, 4)
    assert torch.equal(first.images, augmented(batch, 4).images)
    assert not torch.equal(first.images, augmented(batch, 5).images)
    assert not torch.equal(first.images, Augmented(augmented.options, seed=4)(batch, 4).images)
    assert (first.images.dtype, first.images.shape, first.keys) == (torch.uint8, batch.images.shape, batch.keys)
    assert torch.equal(batch.images, images())


def test_a_share_of_a_batch_is_augmented_as_in_the_whole_batch() -> None:
    augmented = Augmented(Augmentation(crop=(0.5, 0.9), mirror=0.5), seed=3)
    whole = augmented(Batch(images()), 4).images
    share = augmented(Batch(images()[2:5], shares=(2, 3, 1), first=2), 4).images
    assert torch.equal(share, whole[2:5])


@pytest.mark.parametrize("crop", [(0.0, 1.0), (0.9, 0.5), (0.5, 1.1)])
def test_impossible_crops_are_refused(crop: tuple[float, float]) -> None:
    with pytest.raises(ValidationError, match="0 < least ≤ largest ≤ 1"):
        Augmentation(crop=crop)
