from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import pytest

from tbar_ray.errors import SpecError
from tbar_ray.leaderboard.boards import Asked, Row, board_spec, command_of, data_of, narrowed
from tbar_ray.planning.planner import Planner
from tests.specs import spec, write

WHOLE = spec(
    methods={"gentle": {"method": "tbar", "parameters": {"steps": 3}, "alpha": [1, 2]}},
    search__axes={"method": ["gentle"], "attack": ["badnets", "blended"], "seed": [0, 1, 2]},
)


def row(method: str, name: str | None = None, **more: Any) -> Row:
    return Row(method, name or method, **more)


def test_a_row_has_the_campaigns_cells_and_settings() -> None:
    part = narrowed(WHOLE, row("gentle"))
    trials = {(p.trial.method, p.trial.attack, p.trial.spec.seed): p for p in Planner(part).grid()}
    assert set(trials) == {("gentle", a, s) for a in ("badnets", "blended") for s in range(3)}
    same = {p.fingerprint for p in Planner(WHOLE).grid()}
    assert {p.fingerprint for p in trials.values()} == same, "what the campaign computed is found again"


def test_a_row_of_some_cells() -> None:
    part = narrowed(WHOLE, row("cleanclip"), ["blended"], [1], search="decree")
    assert part.search.axes == {"method": ["cleanclip"], "attack": ["blended"], "seed": [1]}
    assert part.defender.inversion == "decree"


def test_a_row_with_parameters_of_its_own_starts_from_the_campaigns() -> None:
    part = narrowed(WHOLE, row("gentle", "gentler", parameters={"steps": 1}))
    assert part.methods["gentler"].model_dump() == {"method": "tbar", "parameters": {"steps": 1}, "alpha": [1, 2]}
    assert part.methods["gentle"] == WHOLE.methods["gentle"]


@pytest.mark.parametrize(
    ("asked", "attacks", "said"),
    [
        (row("gentel"), None, "--method gentel: no such method; did you mean 'gentle'"),
        (row("gentle", parameters={"steps": 1}), None, "give the row another name with --name"),
        (row("tbar", "mine"), None, "--name mine: without --parameters or --alpha it would be 'tbar' again"),
        (row("gentle"), ["badnet"], "--attacks: no attack 'badnet'; did you mean 'badnets'?"),
        (row("tbar", "mine", alpha=[-1.0]), None, "--method tbar: methods.mine.alpha"),
    ],
)
def test_a_row_that_cannot_be_is_one_line(asked: Row, attacks: list[str] | None, said: str) -> None:
    with pytest.raises(SpecError) as caught:
        narrowed(WHOLE, asked, attacks)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_shipped_data_sets_have_names_and_other_campaigns_are_files(tmp_path: Path) -> None:
    assert data_of(board_spec("scenes")) == "scenes"
    assert data_of(board_spec("photographs")) == "photographs"
    assert data_of(board_spec(str(write(tmp_path)))) == "demo"
    with pytest.raises(SpecError, match="no such data set; did you mean 'scenes'"):
        board_spec("scene")


@pytest.mark.parametrize(
    ("search", "said"),
    [
        ({"sampler": "tpe", "trials": 3, "axes": {"attack": ["badnets"]}}, "the leaderboard is of a grid"),
        (
            {"axes": {"attack": ["badnets"], "forget_size": [1, 2]}},
            "search.axes.forget_size: a cell of the leaderboard",
        ),
    ],
)
def test_only_grids_of_cells_are_boards(tmp_path: Path, search: dict[str, Any], said: str) -> None:
    with pytest.raises(SpecError, match=said):
        board_spec(str(write(tmp_path, search=search)))


def test_a_command_names_one_cell() -> None:
    board = board_spec("scenes")
    told = command_of(board, Asked("scenes"), "tbar", "sig", 2, None)
    assert told == "tbar leaderboard run --method tbar --attacks sig --seeds 2"
    searched = command_of(board_spec("photographs"), Asked("photographs"), "tbar", "sig", 0, "decree")
    assert "--data photographs" in searched
    assert "--search decree" in searched
    assert "--set data.train=PLACE/train" in searched
    own = narrowed(board, row("tbar", "mine", parameters={"steps": 7}, alpha=[1.0, 0.12345678]))
    words = shlex.split(command_of(own, Asked("scenes"), "mine", "sig", 0, None))
    assert words[words.index("--method") + 1 :][:7] == [
        "tbar", "--name", "mine", "--parameters", '{"steps": 7}', "--alpha", "1,0.12345678",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "asked",
    [
        row("twin-distillation", "td published", parameters={}),
        row("rnp", "rnp-2", parameters={}),
        row("tbar", "tbar-1", alpha=[1.0]),
        row("rvpt", parameters={"steps": 3}),
    ],
)
def test_a_command_gives_the_same_settings_again(asked: Row) -> None:
    board = board_spec("scenes")
    own = narrowed(board, asked, ["sig"], [0])
    words = shlex.split(command_of(own, Asked("scenes"), asked.name, "sig", 0, None))
    given = dict(zip(words[3::2], words[4::2], strict=True))
    alpha = given.get("--alpha")
    again = Row(
        given["--method"],
        given.get("--name", given["--method"]),
        json.loads(given["--parameters"]),
        None if alpha is None else [float(value) for value in alpha.split(",")],
    )
    assert narrowed(board, again, ["sig"], [0]) == own


def test_a_command_repeats_what_was_asked_for() -> None:
    asked = Asked(
        "scenes", ("name=mine", "forget.size=30", "search.concurrency=1", "data.train=/home/me"), frozenset("ba")
    )
    told = command_of(board_spec("scenes"), asked, "tbar", "sig", 0, None)
    assert told.endswith("--seeds 0 --tuned-on a,b --set name=mine --set forget.size=30")
    secret = Asked("scenes", ("model.pretrained=https://me:secret@host/model.pt",))
    assert "secret" not in command_of(board_spec("scenes"), secret, "tbar", "sig", 0, None)


@pytest.mark.parametrize("data", ["scenes", "photographs"])
def test_other_cells_are_not_put_under_a_shipped_name(data: str) -> None:
    same = [
        "search.axes.seed=[7]",
        "evaluation.rebound=null",
        "search.concurrency=1",
        "data.evaluation=/somewhere/else",
    ]
    board_spec(data, same if data == "photographs" else same[:3])
    for other in (
        "forget.size=30",
        "poison.rate=0.02",
        "methods.tbar.parameters.steps=5",
        "evaluation.rebound.steps=310",
    ):
        with pytest.raises(SpecError) as caught:
            board_spec(data, [other])
        line = str(caught.value)
        assert f"{other.split('=')[0]}: not as in the leaderboard '{data}'" in line
        assert "--set name=mine" in line
    assert data_of(board_spec(data, ["forget.size=30", "name=mine"])) == "mine"
