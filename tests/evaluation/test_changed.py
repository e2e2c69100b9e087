from __future__ import annotations

import numpy as np

from tbar_ray.evaluation.changed import changed_rows, confident_rows, failed_rows

LABELS = np.array([0, 1, 1, 2, 2, 1])
CLEAN = LABELS
INFECTED = np.array([0, 0, 0, 0, 2, 1])
CLEANED = np.array([1, 1, 0, 2, 1, 1])


def test_changed_are_images_of_other_classes_that_some_model_answers_otherwise() -> None:
    found = changed_rows(LABELS, 0, [CLEAN, INFECTED, CLEANED], seed=3)
    assert sorted(found) == [1, 2, 3, 4], "the first is of the target's class, the last is answered alike"
    assert changed_rows(LABELS, 0, [CLEAN, CLEAN], seed=3) == []


def test_their_order_is_one_of_all_images_whatever_the_models() -> None:
    labels = np.ones(40, np.int64)
    every = changed_rows(labels, 0, [labels, 0 * labels], seed=3)
    some = changed_rows(labels, 0, [labels, np.arange(40) % 2], seed=3)
    assert some == [row for row in every if row in set(some)]
    assert every != sorted(every)
    assert every != changed_rows(labels, 0, [labels, 0 * labels], seed=4)


def test_failures_are_images_of_other_classes_not_answered_with_their_class() -> None:
    assert failed_rows(LABELS, 0, CLEANED) == [2, 4]


def test_the_most_confident_come_first_and_of_equal_ones_the_first_rows() -> None:
    probabilities = np.array([0.1, 0.9, 0.5, 0.9, 0.99], np.float32)
    assert confident_rows([0, 1, 2, 3], probabilities, 3) == [1, 3, 2]
    assert confident_rows([], probabilities, 3) == []
