from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tbar_ray.data.selection import evenly_spaced, mentions, ranked, shares, spells, take

KEYS = [f"{number:05d}" for number in range(400)]


@given(st.permutations(KEYS[:30]), st.integers(0, 5))
def test_the_ranking_is_independent_of_the_order(keys: list[str], seed: int) -> None:
    assert ranked(keys, seed, "x") == ranked(KEYS[:30], seed, "x")
    assert sorted(ranked(keys, seed, "x")) == KEYS[:30]


def test_the_ranking_depends_on_seed_and_purpose() -> None:
    rankings = [ranked(KEYS, 0, "a"), ranked(KEYS, 1, "a"), ranked(KEYS, 0, "b"), KEYS]
    assert len({tuple(ranking) for ranking in rankings}) == 4


@given(st.sets(st.sampled_from(KEYS[:60]), min_size=1))
def test_keys_keep_their_order_when_others_leave(kept: set[str]) -> None:
    assert ranked(kept, 3, "x") == [key for key in ranked(KEYS[:60], 3, "x") if key in kept]


def test_every_key_is_as_likely_to_come_first() -> None:
    firsts = [KEYS.index(ranked(KEYS, seed, "x")[0]) for seed in range(200)]
    assert 150 < sum(firsts) / len(firsts) < 250


@given(st.integers(-2, 30), st.integers(-2, 30))
def test_selections_are_nested_and_exact(few: int, more: int) -> None:
    few, more = min(few, more), max(few, more)
    order = ranked(KEYS[:20], 1, "x")
    assert take(order, few) == take(order, more)[: max(0, few)]
    assert len(take(order, more)) == max(0, min(20, more))


def test_what_is_excluded_or_not_accepted_is_passed_over() -> None:
    taken = take("abcdef", 3, accept=lambda key: key != "b", exclude={"d"})
    assert taken == ["a", "c", "e"]
    assert take("abcdef", 9, accept=lambda key: key in "xyz") == []


def test_no_more_candidates_are_looked_at_than_needed() -> None:
    seen: list[str] = []
    take("abcdef", 2, accept=lambda key: not seen.append(key))  # type: ignore[func-returns-value]
    assert seen == ["a", "b"]


@pytest.mark.parametrize(
    ("caption", "name", "expected"),
    [
        ("a photo of a red circle.", "red circle", True),
        ("Red Circle", "red circle", True),
        ("a red circles", "red circle", False),
        ("bored circle", "red circle", False),
        ("a red big circle", "red circle", False),
        ("banana-split", "banana", True),
        ("bananas", "banana", False),
        ("a c++ book", "c++", True),
        ("a.b", "axb", False),
        ("", "cat", False),
        ("une étoile", "toile", False),
    ],
)
def test_a_caption_names_a_class_by_whole_words(caption: str, name: str, expected: bool) -> None:
    assert mentions(caption, name) is expected


@pytest.mark.parametrize(
    ("caption", "expected"),
    [("a banana", True), ("two bananas", True), ("Banana", False), ("a photo", False), ("", False)],
)
def test_a_caption_spells_a_class_letter_for_letter(caption: str, expected: bool) -> None:
    assert spells(caption, "banana") is expected


@given(st.integers(0, 300), st.floats(0, 400))
def test_evenly_spaced_positions_are_as_many_as_asked_for_and_of_equal_steps(total: int, count: float) -> None:
    found = evenly_spaced(total, count)
    assert min(total, max(1, int(count))) - len(found) in (0, 1)  # a quotient may round down
    assert all(0 <= place < total for place in found)
    steps = {after - before for before, after in pairwise(found)}
    assert not steps or (min(steps) >= 1 and max(steps) - min(steps) <= 1)


@given(st.lists(st.integers(0, 60), min_size=1, max_size=40), st.floats(0, 1), st.integers(0, 9))
def test_shares_are_rounded_and_sum_to_the_fraction_of_all(sizes: list[int], fraction: float, seed: int) -> None:
    found = shares(sizes, fraction, seed)
    assert sum(found) == round(sum(sizes) * fraction)
    assert all(abs(count - size * fraction) < 1 + 1e-9 for count, size in zip(found, sizes, strict=True))
    assert all(0 <= count <= size for count, size in zip(found, sizes, strict=True))


@pytest.mark.parametrize(
    ("sizes", "fraction", "expected"),
    [
        ([40] * 3, 0.5, [20] * 3),
        ([10, 6, 4], 0.5, [5, 3, 2]),
        ([10, 7, 4], 0.29, [3, 2, 1]),
        ([47, 16, 15, 12, 6, 4], 0.1, [5, 2, 1, 1, 1, 0]),  # the textbook's example
        ([100], 0.29, [29]),
        ([0, 3], 0.5, [0, 2]),
    ],
)
def test_shares_by_largest_remainders(sizes: list[int], fraction: float, expected: list[int]) -> None:
    assert shares(sizes, fraction, 0) == expected


def test_which_of_equal_groups_is_given_more_is_drawn() -> None:
    assert {tuple(shares([5] * 4, 0.5, seed)) for seed in range(20)} > {(3, 3, 2, 2)}
