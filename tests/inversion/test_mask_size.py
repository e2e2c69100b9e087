import torch

from tbar_ray.inversion.mask_size import DOWN, FIRST_WEIGHT, PATIENCE, UP, Smallest


def told(rates: list[float], sizes: list[float], value: float, smallest: Smallest) -> None:
    smallest.tell(torch.tensor(rates), torch.tensor(sizes), [torch.full((len(rates), 2), float(value))])


def test_the_weight_rises_with_successes_and_falls_with_failures_of_each_class() -> None:
    smallest = Smallest([torch.full((2, 2), -1.0)])
    for step in range(PATIENCE):
        torch.testing.assert_close(smallest.weights, torch.full((2,), FIRST_WEIGHT))
        told([1.0, 0.9], [5.0, 5.0], step, smallest)
    torch.testing.assert_close(smallest.weights, FIRST_WEIGHT * torch.tensor([UP, 1 / DOWN]))
    told([0.0, 1.0], [5.0, 5.0], 9, smallest)
    for step in range(PATIENCE - 1):
        torch.testing.assert_close(smallest.weights, FIRST_WEIGHT * torch.tensor([UP, 1 / DOWN]))
        told([1.0, 1.0], [5.0, 5.0], step, smallest)
    torch.testing.assert_close(smallest.weights, FIRST_WEIGHT * torch.tensor([UP, UP / DOWN]))


def test_the_smallest_mask_that_succeeds_is_kept_and_else_the_last() -> None:
    smallest = Smallest([torch.full((2, 2), -1.0)])
    for value, (rates, sizes) in enumerate(
        [([1.0, 0.5], [9.0, 1.0]), ([1.0, 0.5], [4.0, 1.0]), ([1.0, 0.5], [6.0, 1.0]), ([0.5, 0.9], [1.0, 2.0])]
    ):
        told(rates, sizes, value, smallest)
    assert smallest.sizes.tolist() == [4.0, float("inf")]
    assert smallest.parts[0].tolist() == [[1.0, 1.0], [3.0, 3.0]]


def test_before_the_first_batch_the_start_is_kept() -> None:
    start = torch.tensor([[1.0], [2.0]])
    smallest = Smallest([start])
    assert smallest.parts[0].tolist() == [[1.0], [2.0]]
    start += 1
    assert smallest.parts[0].tolist() == [[1.0], [2.0]]
