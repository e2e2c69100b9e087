import torch

from tbar_ray.training.shuffled import shuffled


def epochs(count: int, seed: int = 0, purpose: str = "test") -> list[list[int]]:
    images, labels = torch.zeros(7, 3, 2, 2, dtype=torch.uint8), torch.arange(7)
    source = shuffled(images, labels, None, batch_size=3, seed=seed, purpose=purpose)
    found = []
    for _ in range(count):
        rows = []
        for _ in range(3):
            batch = next(source)
            assert batch.labels is not None
            assert batch.tokens is None
            assert len(batch) == len(batch.labels)
            rows += batch.labels.tolist()
        found.append(rows)
    return found


def test_every_epoch_shows_every_image_once_in_a_new_order() -> None:
    found = epochs(3)
    assert all(sorted(epoch) == list(range(7)) for epoch in found)
    assert len({tuple(epoch) for epoch in found}) == 3


def test_the_order_depends_on_seed_and_purpose_alone() -> None:
    assert epochs(2) == epochs(2)
    assert epochs(2) != epochs(2, seed=1)
    assert epochs(2) != epochs(2, purpose="other")


def test_images_labels_and_tokens_stay_together() -> None:
    images = torch.arange(5, dtype=torch.uint8).view(5, 1, 1, 1).expand(5, 3, 1, 1).contiguous()
    batch = next(shuffled(images, torch.arange(5), torch.arange(5).view(5, 1), batch_size=5, seed=3, purpose="p"))
    assert batch.labels is not None
    assert batch.tokens is not None
    assert batch.images[:, 0, 0, 0].tolist() == batch.labels.tolist() == batch.tokens[:, 0].tolist()
