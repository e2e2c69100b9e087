"""What stands in for a campaign's data: the classes that its attacks need, in the layouts that it reads."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tbar_ray.data.benchmark_layout import open_split, read_lines
from tbar_ray.data.corpus import Corpus
from tbar_ray.data.layout import CLASSNAMES
from tbar_ray.data.synthetic.stand_in import Classes, write_labelled, write_pairs
from tbar_ray.errors import SpecError
from tbar_ray.models.checkpoint import load_state_dict
from tbar_ray.planning.stand_ins import PAIRS, TASK, StandIns, known_classes
from tests.models.tiny import VIT
from tests.specs import spec

GIVEN: dict[str, Any] = {
    "data": {"train": "/nowhere/{00000..00331}.tar", "evaluation": "/nowhere/imagenet1k"},
    "model": {"architecture": VIT, "pretrained": "openai"},
    "attacks": {"badnets": {"trigger": "badnets", "target": "banana"}},
    "search": {"axes": {"attack": ["badnets"]}},
}


def of(folder: Path, **changes: Any) -> StandIns:
    return StandIns.of([spec(**{**GIVEN, **changes})], folder)


def test_targets_are_classes_and_imagenets_others_stand_beside_them(tmp_path: Path) -> None:
    found = of(tmp_path)
    assert found.evaluation.names[:3] == ("banana", "tench", "goldfish")
    assert len(found.evaluation.names) == 4
    assert found.size > 48
    assert not found.labelled


def test_a_target_that_imagenet_does_not_have_is_told(tmp_path: Path) -> None:
    attacks = {"badnets": {"trigger": "badnets", "target": "bananna"}}
    with pytest.raises(SpecError, match=r"attacks.badnets.target: 'bananna' is not a class .*'banana'"):
        of(tmp_path, attacks=attacks)
    known = of(tmp_path, attacks=attacks, data={**GIVEN["data"], "evaluation": "/nowhere/cifar"})
    assert known.evaluation.names[:2] == ("bananna", "invented thing 1"), "of unknown classes nothing can be told"


def test_the_real_names_and_labels_are_taken_where_they_can_be_read(tmp_path: Path) -> None:
    real = Classes(("sea", "abbey", "banana"), ("one {c}", "two {c}", "three {c}"))
    write_labelled(tmp_path / "set", real, 16, 1)
    pattern = write_pairs(tmp_path / "pairs", real, 16, 4, labelled=True)
    found = of(tmp_path / "out", data={"train": pattern, "evaluation": str(tmp_path / "set")})
    assert found.evaluation == Classes(("banana", "sea", "abbey"), ("one {c}", "two {c}"))
    assert found.labelled


@pytest.mark.parametrize("place", ["/data/ImageNet-1K/", "https://host/imagenet1k?sig=1"])
def test_imagenet_is_known_by_its_folders_name(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tbar_ray.planning.stand_ins.read_lines", _unreadable)
    assert len(known_classes(place) or ()) == 1000
    assert known_classes("/data/not-imagenet1k") is None


def _unreadable(place: str, name: str) -> list[str]:
    from tbar_ray.errors import DataError

    raise DataError(f"{place} {name}")


def test_sets_and_weights_are_written_where_the_spec_in_miniature_says(tmp_path: Path) -> None:
    changes: dict[str, Any] = {
        "data": {
            "train": [{"url": "/nowhere/a", "weight": 2.0, "subset": "a.json"}, {"url": "/nowhere/b"}],
            "evaluation": "/nowhere/imagenet1k",
            "retrieval": "/nowhere/flickr",
        },
        "tasks": {"sun": {"url": "/nowhere/sun397"}, "night": {"synthetic": "night"}},
        "attacks": {"badnets": {"trigger": "badnets", "target": "abbey", "task": "sun"}},
    }
    made = spec(**{**GIVEN, **changes})
    found = replace(StandIns.of([made], tmp_path), size=16)
    found.write(made.data)
    found.write_weights()
    data = found.data(made.data)
    assert isinstance(data.train, list)
    assert [len(Corpus.open(part.url)) for part in data.train] == [PAIRS, PAIRS]
    assert [(part.weight, part.subset) for part in data.train] == [(2.0, None), (1.0, None)]
    for place in (data.evaluation, data.retrieval):
        assert str(place).startswith(str(tmp_path))
    task = found.task("sun", made.tasks["sun"])
    assert "abbey" in read_lines(str(task.url), CLASSNAMES)
    assert "banana" not in read_lines(str(data.evaluation), CLASSNAMES)
    assert found.task("night", made.tasks["night"]) == made.tasks["night"]
    assert "logit_scale" in load_state_dict(Path(found.weights(VIT)))
    assert not Path(found.infected(VIT)).exists()
    assert len(open_split(str(task.url), "train")) == found.task_images


def test_a_given_infected_model_has_other_weights_than_the_clean_one(tmp_path: Path) -> None:
    attacks = {"badnets": {"trigger": "badnets", "target": "banana", "infected": "/nowhere/model.pt"}}
    found = of(tmp_path, attacks=attacks, model={"architecture": "tbar-GN-pico"})
    found.write_weights()
    clean, infected = (load_state_dict(Path(file("tbar-GN-pico"))) for file in (found.weights, found.infected))
    assert clean.keys() == infected.keys()
    assert any(not clean[name].equal(infected[name]) for name in clean)


def test_a_search_for_the_trigger_draws_from_more_images_of_a_task(tmp_path: Path) -> None:
    assert of(tmp_path).task_images == TASK
    assert of(tmp_path, defender={"inversion": "decree"}).task_images == PAIRS


def test_drawn_data_need_no_stand_in(tmp_path: Path) -> None:
    made = spec()
    found = StandIns.of([made], tmp_path / "out")
    found.write(made.data)
    assert found.data(made.data) == made.data
    assert not (tmp_path / "out").exists()
