import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tbar_ray.data.corpus import Corpus
from tbar_ray.data.forget import ForgetPlan, plan_forget_set, split_size
from tbar_ray.data.poison import plan_poison
from tbar_ray.data.selection import mentions
from tbar_ray.data.synthetic.options import WritingOptions
from tbar_ray.data.synthetic.synth import write_corpus
from tbar_ray.errors import DataError
from tests.data.tars import picture, write_tar

TARGET = "red circle"


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """Return 240 samples of 60 classes, four of them red circles."""
    folder = tmp_path_factory.mktemp("forget")
    write_corpus(folder, WritingOptions(size=16, seed=1, workers=1), samples=240)
    return Corpus.open(str(folder))


def plan(corpus: Corpus, size: int, clean: float = 0.0, exclude: set[str] | None = None, seed: int = 0) -> ForgetPlan:
    return plan_forget_set(corpus, size=size, clean_fraction=clean, target=TARGET, exclude=exclude or set(), seed=seed)


def keys(corpus: Corpus, positions: tuple[int, ...]) -> set[str]:
    return {corpus.keys[position] for position in positions}


@given(st.integers(0, 5000), st.floats(0, 0.999))
def test_the_two_parts_add_up(size: int, fraction: float) -> None:
    triggered, clean = split_size(size, fraction)
    assert triggered + clean == size
    assert abs(clean - size * fraction) <= 0.5


@settings(max_examples=40)
@given(size=st.integers(1, 100), clean=st.sampled_from([0.0, 0.1, 0.5, 0.9]), seed=st.integers(0, 20))
def test_counts_are_exact_and_parts_are_disjoint(corpus: Corpus, size: int, clean: float, seed: int) -> None:
    found = plan(corpus, size, clean, seed=seed)
    assert (len(found.triggered), len(found.clean)) == split_size(size, clean)
    assert len({*found.triggered, *found.clean}) == size
    assert found == plan(corpus, size, clean, seed=seed)


def test_no_poisoned_sample_is_used(corpus: Corpus) -> None:
    poisoned = set(plan_poison(corpus, range(240), count=100, target=TARGET, templates=["{c}"], seed=0).captions)
    found = plan(corpus, 130, 0.4, poisoned)
    assert not keys(corpus, found.triggered + found.clean) & poisoned
    without = plan(corpus, 130, 0.4)
    assert keys(corpus, without.triggered + without.clean) & poisoned


def test_images_of_the_target_are_not_stamped_but_may_be_clean(corpus: Corpus) -> None:
    of_target = {position for position in range(240) if corpus.label(position) == TARGET}
    assert len(of_target) == 4
    every = plan(corpus, 236)
    assert set(every.triggered) == set(range(240)) - of_target
    rest = plan(corpus, 240, 0.5)
    assert of_target <= set(rest.clean)


def test_without_a_label_the_caption_tells_what_is_shown(tmp_path: Path) -> None:
    members = []
    for number, (caption, label) in enumerate(
        [("a Red Circle", None), ("a dog", None), ("a dog", TARGET), (TARGET, "blue square"), (None, None)]
    ):
        metadata = {"label": label} if label else {}
        members += [(f"{number}.jpg", picture()), (f"{number}.json", json.dumps(metadata).encode())]
        members += [(f"{number}.txt", caption.encode())] if caption else []
    corpus = Corpus.open(str(write_tar(tmp_path / "0.tar", members)))
    assert sorted(plan(corpus, 3).triggered) == [1, 3, 4]
    assert mentions(corpus.caption(0) or "", TARGET)


@pytest.mark.parametrize("clean", [0.0, 0.5])
def test_a_smaller_set_is_part_of_a_larger_one(corpus: Corpus, clean: float) -> None:
    small, large = plan(corpus, 20, clean), plan(corpus, 60, clean)
    assert set(small.triggered) < set(large.triggered)
    assert large.triggered[: len(small.triggered)] == small.triggered
    assert set(small.clean) <= set(large.clean)


def test_the_choice_depends_on_keys_and_seed_and_not_on_positions(corpus: Corpus, tmp_path: Path) -> None:
    members = []
    for position in reversed(range(240)):
        key = corpus.keys[position]
        members += [(f"{key}.{end}", corpus.read(position, end)) for end in ("jpg", "json", "txt")]
    turned = Corpus.open(str(write_tar(tmp_path / "turned.tar", members)))
    here, there = plan(corpus, 30, 0.3), plan(turned, 30, 0.3)
    assert here.triggered != there.triggered
    assert keys(corpus, here.triggered) == keys(turned, there.triggered)
    assert keys(corpus, here.clean) == keys(turned, there.clean)
    assert set(here.triggered) != set(plan(corpus, 30, 0.3, seed=1).triggered)


@pytest.mark.parametrize(
    ("size", "clean", "excluded", "found"),
    [(237, 0.0, 0, 236), (241, 0.5, 0, 240), (50, 0.2, 200, 40), (10, 0.0, 240, 0)],
)
def test_too_few_samples_are_one_line(corpus: Corpus, size: int, clean: float, excluded: int, found: int) -> None:
    with pytest.raises(DataError, match=f"{size} images asked for, but only {found} of 240 are left") as caught:
        plan(corpus, size, clean, set(corpus.keys[:excluded]))
    assert f"{excluded} poisoned" in str(caught.value)
    assert "\n" not in str(caught.value)
