"""Attacks whose infected model is given: what a spec may say of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from tbar_ray.errors import SpecError
from tbar_ray.planning.planner import Planner
from tbar_ray.planning.preflight import check_campaign
from tbar_ray.stages.infected import GivenInfectedModel
from tests.specs import spec

BACKDOOR = {"trigger": "badnets", "target": "red circle"}


def given(weights: str = "scenes", **attack: Any) -> dict[str, Any]:
    return {
        "attacks": {"badnets": {**BACKDOOR, "infected": weights, **attack}},
        "search": {"axes": {}},
        "model": {"architecture": "tbar-RN-tiny"},
        "poison": {},
    }


def test_a_file_is_known_by_its_content(tmp_path: Path) -> None:
    found = []
    for name, content in (("a.pt", b"one"), ("b.pt", b"one"), ("a.pt", b"two")):
        (tmp_path / name).write_bytes(content)
        model = Planner(spec(**given(str(tmp_path / name)))).plan({}).graph.model
        assert isinstance(model, GivenInfectedModel)
        found.append(model.fingerprint)
    assert found[0] == found[1] != found[2]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"planting": {"method": "stealth"}}, "neither planted nor merged"),
        ({"task": "shapes"}, "neither planted nor merged"),
        ({"poison": {"rate": 0.1}}, "nothing is planted in a given model"),
    ],
)
def test_a_given_model_is_not_planted(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        spec(**given(**changes))


def test_without_a_clean_model_every_attack_is_given() -> None:
    content = given()
    content["attacks"]["blended"] = {"trigger": "blended", "target": "red circle"}
    content["search"] = {"axes": {"attack": ["badnets", "blended"]}}
    with pytest.raises(ValidationError, match="without a clean model"):
        spec(**{**content, "poison": {"rate": 0.1}})
    clean = {"model": {"architecture": "tbar-RN-pico", "training": {"epochs": 1}}}
    with pytest.raises(
        ValidationError, match=r"poison: give either 'rate' or 'count', or 'infected' in attacks\.blended"
    ):
        spec(**{**content, **clean})
    assert spec(**{**content, **clean, "poison": {"rate": 0.1}}).attacks["badnets"].infected == "scenes"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (
            {"attacks": {"badnets": {**BACKDOOR, "infected": "nowhere.pt"}}},
            r"attacks\.badnets\.infected: no file .*nowhere\.pt",
        ),
        (
            {"attacks": {"badclip": {"trigger": "badclip", "target": "red circle", "infected": "scenes"}}},
            "with its pixels",
        ),
        ({"unlearning": {"method": "abl"}, "defender": {"training_pairs": 100}}, "which are unknown for a given model"),
    ],
)
def test_what_cannot_be_had_is_said_before_the_run(content: dict[str, Any], said: str) -> None:
    with pytest.raises(SpecError, match=said):
        check_campaign(Planner(spec(**{**given(), **content})))


def test_a_folder_is_known_by_weights_and_configuration_together(tmp_path: Path) -> None:
    folder, found = tmp_path / "hub", []
    folder.mkdir()
    with pytest.raises(
        SpecError, match=r"hub is a folder without a checkpoint of open_clip or transformers; name a file$"
    ):
        Planner(spec(**given(str(folder)))).plan({})
    for config, weights, note in (("{}", b"one", "a"), ("{}", b"one", "b"), ("{} ", b"one", "b"), ("{}", b"two", "b")):
        (folder / "open_clip_config.json").write_text(config)
        (folder / "open_clip_model.safetensors").write_bytes(weights)
        (folder / "README.md").write_text(note)
        model = Planner(spec(**given(str(folder)))).plan({}).graph.model
        assert model is not None
        found.append(model.fingerprint)
    assert found[0] == found[1]
    assert len(set(found)) == 3
