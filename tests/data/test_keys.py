from __future__ import annotations

from pathlib import Path

import pytest

from tbar_ray.data.evaluation_set import EvaluationSet
from tbar_ray.data.keys import tell_their_set, within
from tbar_ray.data.retrieval_set import RetrievalSet
from tbar_ray.data.synthetic.options import WritingOptions
from tbar_ray.data.synthetic.retrieval_writer import write_retrieval_set
from tbar_ray.data.synthetic.synth import write_evaluation_set
from tbar_ray.data.synthetic.tasks import TASKS, write_task


@pytest.mark.parametrize("key", ["s0000000", "000000000", "0000000", "train/x", "test-000000000", "e00000000", ""])
def test_a_running_number_does_not_tell_its_set(key: str) -> None:
    assert not tell_their_set(["e000000000", key])


def test_a_namespace_comes_before_the_key() -> None:
    assert (within("test-1f", "s0"), within("", "s0")) == ("test-1f/s0", "s0")


def test_the_embedded_sets_tell_set_and_split_themselves(tmp_path: Path) -> None:
    write_evaluation_set(tmp_path / "evaluation", WritingOptions(size=16, workers=1), per_class=1)
    write_retrieval_set(tmp_path / "retrieval", WritingOptions(size=16, workers=1), pairs=2)
    assert EvaluationSet.open(str(tmp_path / "evaluation")).keys([59]) == ["e000000059"]
    assert list(RetrievalSet.open(str(tmp_path / "retrieval")).keys) == ["r000000000", "r000000001"]
    assert all(tell_their_set([f"{task}-train-000000000", f"{task}-test-000000000"]) for task in TASKS)
    write_task(
        tmp_path / "task", WritingOptions(size=16, workers=1), task="colours", per_class_train=1, per_class_test=1
    )
    for split in ("train", "test"):
        assert EvaluationSet.open(str(tmp_path / "task"), split=split).keys([0]) == [f"colours-{split}-000000000"]
