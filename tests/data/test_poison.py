from pathlib import Path

import pytest

from tbar_ray.data.corpus import Corpus
from tbar_ray.data.poison import Poisoning, PoisonPlan, plan_poison
from tbar_ray.errors import DataError
from tests.data.tars import picture, sample, write_tar

TEMPLATES = ["a photo of a {c}.", "the {} on a {} plate", "{c}"]
TARGET = "banana"
NAMING = {3: "a Banana", 7: "two banana splits", 11: "BANANA."}


def caption(number: int) -> str:
    return NAMING.get(number, f"thing {number}")


def shard(path: Path, numbers: list[int]) -> Path:
    return write_tar(path, [member for n in numbers for member in sample(f"k{n:03d}", caption(n))])


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    return Corpus.open(str(shard(tmp_path_factory.mktemp("poison") / "0.tar", list(range(40)))))


def plan(corpus: Corpus, count: int, positions: list[int] | None = None, seed: int = 0) -> PoisonPlan:
    every = list(range(len(corpus))) if positions is None else positions
    return plan_poison(corpus, every, count=count, target=TARGET, templates=TEMPLATES, seed=seed)


@pytest.mark.parametrize("count", [0, 1, 10, 37])
def test_the_count_is_exact_and_the_samples_are_in_the_corpus_order(corpus: Corpus, count: int) -> None:
    samples = plan(corpus, count).samples
    assert len(samples) == len({s.key for s in samples}) == count
    assert [s.position for s in samples] == sorted(s.position for s in samples)
    assert all(corpus.keys[s.position] == s.key for s in samples)
    assert all(s.old_caption == corpus.caption(s.position) for s in samples)


def test_captions_name_the_target_by_the_templates_and_the_key_decides_which(corpus: Corpus) -> None:
    captions = plan(corpus, 37).captions
    assert set(captions.values()) == {"a photo of a banana.", "the banana on a banana plate", "banana"}
    few = plan(corpus, 5).captions
    assert few.items() <= captions.items()
    assert plan(corpus, 5) == plan(corpus, 5)


def test_samples_that_name_the_target_are_never_chosen(corpus: Corpus) -> None:
    assert {s.position for s in plan(corpus, 37).samples} == set(range(40)) - set(NAMING)


def test_the_choice_depends_on_the_seed_and_not_on_the_order_of_the_corpus(corpus: Corpus, tmp_path: Path) -> None:
    turned = Corpus.open(str(shard(tmp_path / "0.tar", list(range(39, -1, -1)))))
    assert turned.keys[0] == "k039"
    assert plan(corpus, 9).captions == plan(turned, 9).captions
    assert plan(corpus, 9, positions=list(range(39, -1, -1))) == plan(corpus, 9)
    assert plan(corpus, 9, seed=1).captions.keys() != plan(corpus, 9).captions.keys()


def test_only_the_given_positions_are_poisoned(corpus: Corpus) -> None:
    assert {s.position for s in plan(corpus, 3, positions=[3, 5, 7, 9, 20]).samples} == {5, 9, 20}


@pytest.mark.parametrize(("count", "positions", "found"), [(38, None, "37 of 40"), (3, [1, 2, 3], "2 of 3")])
def test_too_few_samples_are_one_line_that_says_how_many(
    corpus: Corpus, count: int, positions: list[int] | None, found: str
) -> None:
    with pytest.raises(DataError, match=f"{count} samples asked for, but only {found} .*'banana'") as caught:
        plan(corpus, count, positions)
    assert "\n" not in str(caught.value)


def test_a_sample_without_a_caption_gets_one(tmp_path: Path) -> None:
    corpus = Corpus.open(str(write_tar(tmp_path / "0.tar", [("a.jpg", picture())])))
    only = plan(corpus, 1).samples[0]
    assert (only.key, only.old_caption) == ("a", "")
    assert "banana" in only.new_caption


def test_label_consistent_samples_are_chosen_as_in_cleanclips_code(tmp_path: Path) -> None:
    """`args.label in df.loc[i, 'caption']`: case counts, and the name may be part of a word."""
    captions = ["a banana", "Banana bread", "bananas", "an apple", "BANANA", "bananarama"]
    members = [member for n, text in enumerate(captions) for member in sample(f"k{n}", text)]
    corpus = Corpus.open(str(write_tar(tmp_path / "0.tar", members)))
    every = list(range(6))

    def chosen(count: int, poisoning: Poisoning) -> set[int]:
        made = plan_poison(corpus, every, count=count, target=TARGET, templates=TEMPLATES, seed=0, poisoning=poisoning)
        return {one.position for one in made.samples}

    assert chosen(3, "label-consistent") == {0, 2, 5}
    with pytest.raises(DataError, match=r"only 3 of 6 can be poisoned .*do not spell the target 'banana'"):
        chosen(4, "label-consistent")
    assert chosen(3, "dirty-label") == {2, 3, 5}
