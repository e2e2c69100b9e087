"""What reads class labels that the pairs do not have is refused before anything is computed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tbar_ray.data.synthetic.stand_in import Classes, write_labelled, write_pairs
from tbar_ray.errors import SpecError
from tbar_ray.planning.pair_labels import check_labels, have_labels
from tbar_ray.planning.planner import Planner
from tbar_ray.planning.preflight import check_campaign
from tbar_ray.spec.campaign import CampaignSpec
from tests.specs import spec

SHAPES = Classes(("red circle", "blue square"), ("a {c}",))
MAP = {"clean_fraction": 0.5, "images": 4, "samples": 8}


def given(folder: Path, *, labelled: bool, **changes: Any) -> CampaignSpec:
    pairs = write_pairs(folder / "pairs", SHAPES, 16, 40, labelled=labelled)
    write_labelled(folder / "set", SHAPES, 16, 2)
    data = {"train": pairs, "evaluation": str(folder / "set")}
    sizes = {"poison": {"count": 2, "pairs": 16}, "forget__size": 4, "defender__clean_pairs": 4}
    attacks = {"badnets": {"trigger": "badnets", "target": "red circle"}}
    search = {"axes": {"attack": ["badnets"]}}
    return spec(**{"data": data, "attacks": attacks, "search": search, **sizes, **changes})


WANTED: dict[str, tuple[dict[str, Any], str]] = {
    "map": ({"disentanglement": MAP}, r"disentanglement.clean_fraction: .* have none; set it to 0"),
    "pairs": ({"unlearning": {"method": "ft-sam"}}, r"method 'ft-sam' reads class labels .* leave it out"),
    "tuned": (
        {"unlearning": {"method": "clean-finetuning", "parameters": {"objective": "classification"}}},
        r"method 'clean-finetuning' reads class labels",
    ),
    "forget": ({"forget": {"size": 4, "clean_fraction": 0.5}}, r"forget.clean_fraction: method 'tbar' classifies"),
    "axis": (
        {"search": {"axes": {"attack": ["badnets"], "clean_fraction": [0, 0.5]}}, "forget__size": 4},
        r"search.axes.clean_fraction: 0.5: forget.clean_fraction: method 'tbar' classifies",
    ),
}


@pytest.mark.parametrize("case", WANTED)
def test_labels_that_the_pairs_do_not_have_are_missed_before_the_start(case: str, tmp_path: Path) -> None:
    changes, message = WANTED[case]
    with pytest.raises(SpecError, match=message):
        check_campaign(Planner(given(tmp_path, labelled=False, **changes)))
    check_campaign(Planner(given(tmp_path / "with", labelled=True, **changes)))


def test_nothing_is_asked_of_what_reads_no_labels(tmp_path: Path) -> None:
    contrastive = {"method": "tbar", "parameters": {"objective": "contrastive"}}
    cases: dict[str, dict[str, Any]] = {
        "contrastive": {"forget": {"size": 4, "clean_fraction": 0.5}, "unlearning": contrastive},
        "stamped": {"disentanglement": {**MAP, "clean_fraction": 0}},
        "pairs": {"unlearning": {"method": "clean-finetuning"}},
    }
    for name, changes in cases.items():
        made = given(tmp_path / name, labelled=False, **changes)
        check_labels(made, [made.unlearning.method])


def test_pairs_that_cannot_be_read_are_not_judged(tmp_path: Path) -> None:
    made = given(tmp_path, labelled=False, disentanglement=MAP)
    assert have_labels(made.data) is False
    unread = made.model_copy(update={"data": made.data.model_copy(update={"train": str(tmp_path / "none.tar")})})
    assert have_labels(unread.data) is None
    check_labels(unread, ["tbar"])
    assert have_labels(spec().data), "drawn pairs have labels"
