"""Subsets by key, their manifests, and what a copy of the corpus lacks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tbar_ray.data import subset as module
from tbar_ray.data.corpus import Corpus
from tbar_ray.data.subset import Subset, read_subset, write_subset
from tbar_ray.errors import DataError

from .tars import sample, write_tar


def write_corpus(folder: Path, keys: range, per_shard: int = 10, caption: str = "photo") -> Corpus:
    folder.mkdir(parents=True)
    names = [f"{key:09d}" for key in keys]
    for shard, start in enumerate(range(0, len(names), per_shard)):
        part = names[start : start + per_shard]
        write_tar(folder / f"{shard:05d}.tar", [member for key in part for member in sample(key, f"{caption} {key}")])
    return Corpus.open(str(folder))


@pytest.fixture
def corpus(tmp_path: Path) -> Corpus:
    return write_corpus(tmp_path / "corpus", range(40))


def test_the_choice_depends_on_seed_and_key_alone(tmp_path: Path, corpus: Corpus) -> None:
    first = Subset.choose(corpus, 20, seed=1)
    (tmp_path / "other").mkdir()
    backwards = [f"{key:09d}" for key in reversed(range(40))]
    members = [member for key in backwards for member in sample(key, f"photo {key}")]
    again = Subset.choose(Corpus.open(str(write_tar(tmp_path / "other" / "x.tar", members))), 20, seed=1)
    assert first.keys == again.keys == tuple(sorted(first.keys))
    assert (first.digest, first.captions) == (again.digest, again.captions)
    assert Subset.choose(corpus, 20, seed=2).keys != first.keys
    assert set(Subset.choose(corpus, 7, seed=1).keys) < set(first.keys)


@pytest.mark.parametrize("listed", [1000, 3])
def test_a_manifest_says_the_same_again_as_a_list_or_packed(
    tmp_path: Path, corpus: Corpus, listed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LISTED", listed)
    chosen = Subset.choose(corpus, 20, seed=1)
    write_subset(chosen, tmp_path / "new" / "a.json")
    assert read_subset(tmp_path / "new" / "a.json") == chosen
    assert ("keys" in json.loads((tmp_path / "new" / "a.json").read_text())) == (listed == 1000)
    write_subset(chosen, tmp_path / "b.json")
    assert (tmp_path / "b.json").read_bytes() == (tmp_path / "new" / "a.json").read_bytes()


def test_another_copy_is_told_what_it_lacks(tmp_path: Path, corpus: Corpus) -> None:
    chosen = Subset.choose(corpus, 20, seed=1)
    assert chosen.is_whole(corpus)
    copy = write_corpus(tmp_path / "copy", range(0, 40, 2), per_shard=7)
    found = chosen.find(copy)
    even = [key for key in chosen.keys if int(key) % 2 == 0]
    assert [copy.keys[position] for position in found.positions] == even
    assert list(found.missing) == [key for key in chosen.keys if int(key) % 2]
    assert not chosen.is_whole(copy)
    part = chosen.within(copy, found)
    assert (list(part.keys), part.source) == (even, chosen.source)
    assert not part.find(copy).missing


def test_a_corpus_of_the_subset(tmp_path: Path, corpus: Corpus) -> None:
    chosen = Subset.choose(corpus, 20, seed=1)
    only = chosen.of(corpus, "m.json", "error")
    assert tuple(only.keys) == chosen.keys
    assert [only.caption(position) for position in range(20)] == [f"photo {key}" for key in chosen.keys]
    assert only.problems == ()
    copy = write_corpus(tmp_path / "copy", range(1, 40))
    missing = tuple(key for key in chosen.keys if key == "000000000")
    assert len(missing) == 1, "the seed must choose the sample that the copy lacks"
    said = "m.json: 1 of 20 samples are not in the corpus: 000000000"
    assert [str(problem) for problem in chosen.of(copy, "m.json", "warn").problems] == [said]
    with pytest.raises(DataError, match=said):
        chosen.of(copy, "m.json", "error")


def test_a_manifest_of_another_corpus_is_known(tmp_path: Path, corpus: Corpus) -> None:
    chosen = Subset.choose(corpus, 20, seed=1)
    with pytest.raises(DataError, match=r"20 of 20 captions that were compared are others .* of another corpus"):
        chosen.find(write_corpus(tmp_path / "same keys", range(40), caption="drawing"))
    with pytest.raises(DataError, match="none of the 20 keys is in the corpus, so the manifest is of another one"):
        chosen.find(write_corpus(tmp_path / "other keys", range(100, 140)))


def test_too_many_samples(corpus: Corpus) -> None:
    for count in (0, 41):
        with pytest.raises(DataError, match=f"{count} samples asked for, but the corpus has 40"):
            Subset.choose(corpus, count, seed=0)


def changed(corpus: Corpus, **changes: Any) -> str:
    return json.dumps({**Subset.choose(corpus, 20, seed=1).to_dict(), **changes})


def test_what_is_no_manifest_gets_one_line(tmp_path: Path, corpus: Corpus) -> None:
    file = tmp_path / "m.json"
    for content, said in (
        ("{", "is no manifest of a subset: not JSON"),
        ("[]", "is no manifest of a subset; `tbar data select` writes one"),
        (changed(corpus, version=2), "has version 2, not 1: install a newer tbar-ray"),
        (changed(corpus, samples=3), "is damaged: its keys are not those"),
        (changed(corpus, keys=["a"] * 20), "is damaged: its keys are not those"),
        (changed(corpus, source={}), "is damaged: "),
    ):
        file.write_text(content)
        with pytest.raises(DataError, match=said):
            read_subset(file)
    with pytest.raises(DataError, match=r"cannot read .*none\.json"):
        read_subset(tmp_path / "none.json")


def test_positions_of_a_corpus_keep_its_namespace(corpus: Corpus) -> None:
    part = corpus.within("set").at(np.array([3, 1]))
    assert list(part.keys) == ["set/000000003", "set/000000001"]
    assert part.name(0) == "000000003"
    assert part.image_sizes().tolist() == [len(part.image_bytes(i)) for i in range(2)]
