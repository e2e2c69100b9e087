import torch

from tbar_ray.inversion.neural_cleanse import NeuralCleanse
from tbar_ray.inversion.target import infer_target
from tests.inversion.planted import CORNER, SIDE, TARGET, subject

SEARCH = NeuralCleanse(cells=8, steps=80, refine=30, suspects=2)


def test_the_smallest_mask_is_the_targets_and_covers_the_patch() -> None:
    planted = subject("patch", gain=20.0)
    found = SEARCH.invert(planted, 0)
    assert found.target == TARGET
    assert found.score is not None
    assert found.score > 2
    assert found.trigger is not None
    mask = found.trigger.mask()
    inside = mask[CORNER, CORNER].sum()
    assert inside > 0.7 * mask.sum()
    assert infer_target(planted, found.trigger).target == TARGET


def test_all_masks_of_a_clean_model_are_of_one_size() -> None:
    score = SEARCH.invert(subject("clean"), 0).score
    assert score is not None
    assert score < 2


def test_the_fine_search_shrinks_the_mask_and_looks_at_few_classes() -> None:
    planted = subject("patch", gain=20.0)
    coarse = NeuralCleanse(cells=8, steps=40, refine=0, suspects=2).invert(planted, 0)
    fine = NeuralCleanse(cells=8, steps=40, refine=30, suspects=2).invert(planted, 0)
    assert fine.by_class == coarse.by_class
    assert float(str(fine.facts["size"])) < float(str(coarse.facts["size"]))
    assert fine.images == 8 * 8 * 40 + 32 * 2 * 30
    assert coarse.trigger is not None
    assert len(torch.unique(coarse.trigger.mask().view(8, SIDE // 8, 8, SIDE // 8)[0, :, 0])) == 1
