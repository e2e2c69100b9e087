import re
from collections import Counter
from pathlib import Path

import pytest

from tbar_ray.data.retrieval_set import RetrievalSet
from tbar_ray.data.synthetic.backgrounds import BACKGROUNDS
from tbar_ray.data.synthetic.captions import size_word
from tbar_ray.data.synthetic.options import WritingOptions
from tbar_ray.data.synthetic.retrieval_writer import KINDS, SIZES, _draw, write_retrieval_set
from tbar_ray.data.synthetic.scenes import CLASS_NAMES
from tbar_ray.data.synthetic.synth import write_corpus, write_evaluation_set
from tbar_ray.errors import DataError


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("retrieval")
    summary = write_retrieval_set(out, WritingOptions(size=16, samples_per_shard=50, seed=4, workers=1), pairs=130)
    assert (summary.path, summary.samples, summary.shards) == (out, 130, 3)
    return out


@pytest.fixture(scope="module")
def data(folder: Path) -> RetrievalSet:
    return RetrievalSet.open(str(folder))


def said(caption: str) -> tuple[str, ...]:
    """Return size, class and background as a caption tells them."""
    size = re.search(r"\b(small|large)\b", caption)
    names = [name for name in CLASS_NAMES if name in caption]
    grounds = [ground for ground in BACKGROUNDS if f"{ground} background" in caption]
    assert (len(names), len(grounds)) == (1, 1), caption
    return size.group() if size else "", names[0], grounds[0]


def test_the_layout_is_clip_benchmarks(folder: Path, data: RetrievalSet) -> None:
    assert {p.name for p in (folder / "test").iterdir()} == {"nshards.txt", "0.tar", "1.tar", "2.tar"}
    assert (folder / "test" / "nshards.txt").read_text() == "3\n"
    assert list(data.keys) == [f"r{number:09d}" for number in range(130)]
    assert data.images([0], 16, "bicubic").std() > 5


def test_every_image_has_one_or_two_captions_that_agree(data: RetrievalSet) -> None:
    assert Counter(map(len, data.captions)).keys() == {1, 2}
    assert all(len(set(map(said, captions))) == 1 for captions in data.captions)
    assert all(len(set(captions)) == len(captions) for captions in data.captions)


def test_no_two_images_are_described_alike(data: RetrievalSet) -> None:
    assert len({said(captions[0]) for captions in data.captions}) == 130
    assert len(KINDS) == 1080


def test_a_scene_is_what_it_was_dealt_and_stays_in_the_picture() -> None:
    for kind in range(0, len(KINDS), 7):
        label, sizes, background = KINDS[kind]
        scene = _draw(0, kind, kind)
        assert (scene.class_name, scene.background) == (CLASS_NAMES[label], background)
        assert sizes[0] <= scene.size <= sizes[1]
        assert size_word(scene.size) == ("small", "", "large")[SIZES.index(sizes)]
        assert scene.size / 2 - 1e-9 <= min(scene.x, scene.y)
        assert max(scene.x, scene.y) <= 1 - scene.size / 2 + 1e-9


def test_bytes_depend_on_the_seed_and_not_on_the_workers(folder: Path, tmp_path: Path) -> None:
    write_retrieval_set(tmp_path / "same", WritingOptions(size=16, samples_per_shard=50, seed=4, workers=2), pairs=130)
    write_retrieval_set(tmp_path / "other", WritingOptions(size=16, samples_per_shard=50, seed=5, workers=1), pairs=130)
    for number in range(3):
        name = f"test/{number}.tar"
        assert (tmp_path / "same" / name).read_bytes() == (folder / name).read_bytes()
        assert (tmp_path / "other" / name).read_bytes() != (folder / name).read_bytes()


def test_no_picture_or_key_of_the_other_sets(data: RetrievalSet, tmp_path: Path) -> None:
    from tbar_ray.data.corpus import Corpus

    write_corpus(tmp_path / "c", WritingOptions(size=16, seed=4, workers=1), samples=130)
    write_evaluation_set(tmp_path / "e", WritingOptions(size=16, seed=4, workers=1), per_class=2)
    own = {data.corpus.image_bytes(position) for position in range(130)}
    assert len(own) == 130
    for url in (tmp_path / "c", tmp_path / "e" / "test"):
        other = Corpus.open(str(url))
        assert not own & {other.image_bytes(position) for position in range(len(other))}
        assert not set(data.keys) & set(other.keys)


def test_bad_numbers_and_folders_in_use(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="number of samples must be at least 1, not 0"):
        write_retrieval_set(tmp_path / "x", pairs=0)
    assert not (tmp_path / "x").exists()
    with pytest.raises(DataError, match="already holds shards"):
        write_retrieval_set(folder, WritingOptions(workers=1), pairs=1)
