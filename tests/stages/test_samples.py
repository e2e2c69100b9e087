"""The corpus of a campaign, and the subset of it that a manifest names."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tbar_ray.data.subset import Subset, write_subset
from tbar_ray.errors import DataError
from tbar_ray.stages.data import GivenData, Mixture
from tbar_ray.stages.samples import open_corpus, open_samples
from tbar_ray.store.store import Store
from tests.data.test_subset import write_corpus


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(str(tmp_path / "store"))


def given(place: Path, samples: int | None = None) -> GivenData:
    """A corpus of 40 pairs, and a manifest of so many beside it."""
    corpus = write_corpus(place, range(40))
    node = GivenData(place=str(place), content="x")
    if samples is None:
        return node
    subset = Subset.choose(corpus, samples, seed=0)
    write_subset(subset, place / "m.json")
    return node.model_copy(update={"subset": subset.digest, "manifest": str(place / "m.json")})


def test_a_subset_is_all_that_is_drawn_from(tmp_path: Path, store: Store) -> None:
    node = given(tmp_path / "corpus", 15)
    corpus, weights = open_corpus(node, store, "error")
    assert (len(corpus), weights) == (15, None)
    samples = open_samples(node, store, classify=False, pairs=10, seed=0, policy="error")
    assert len(samples.positions) == 10
    assert len(samples.corpus) == 15


def test_each_of_several_corpora_has_its_own(tmp_path: Path, store: Store) -> None:
    parts = (given(tmp_path / "a", 15), given(tmp_path / "b"))
    corpus, weights = open_corpus(Mixture(parts=parts, weights=(2.0, 1.0)), store, "error")
    assert len(corpus) == 55
    assert weights is not None
    assert np.bincount(weights.astype(int)).tolist() == [0, 40, 15]


def test_a_manifest_that_changed_is_an_error(tmp_path: Path, store: Store) -> None:
    node = given(tmp_path / "corpus", 15)
    corpus, _ = open_corpus(given(tmp_path / "same"), store, "error")
    write_subset(Subset.choose(corpus, 14, seed=0), tmp_path / "corpus" / "m.json")
    with pytest.raises(DataError, match=r"m\.json changed since the campaign was planned: run again"):
        open_corpus(node, store, "error")


def test_without_a_subset_the_node_is_what_it_was(tmp_path: Path) -> None:
    node = given(tmp_path / "corpus")
    assert not {"subset", "manifest"} & set(node.identity())
    assert node.model_copy(update={"subset": "x"}).fingerprint != node.fingerprint
    assert node.model_copy(update={"manifest": "x"}).fingerprint == node.fingerprint
