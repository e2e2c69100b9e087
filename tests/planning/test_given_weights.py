"""Weights that a spec gives, alone or with a text tower from elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError

from tbar_ray.errors import CheckpointError, SpecError
from tbar_ray.models.factory import create_model
from tbar_ray.planning.given_checkpoints import check_checkpoint
from tbar_ray.planning.given_weights import given_weights, text_field
from tbar_ray.planning.planner import Planner, campaign_fingerprint
from tbar_ray.planning.preflight import check_campaign
from tbar_ray.spec.campaign import CampaignSpec
from tbar_ray.stages.infected import GivenInfectedModel
from tbar_ray.stages.models import PretrainedModel
from tbar_ray.store.store import Store
from tests.models.formats.published import decree, direct, own
from tests.models.tiny import RESNET, same, snapshot
from tests.planning.test_given import given
from tests.specs import spec

DECREE = f"{RESNET}@imagenet"


@pytest.fixture
def encoder(tmp_path: Path) -> Path:
    """An image encoder alone."""
    return decree(snapshot(direct(RESNET, seed=3)), tmp_path)


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    """Another model, with a text tower."""
    return own(snapshot(direct(RESNET, seed=4)), tmp_path)


def of(encoder: Path, text_from: str | None) -> dict[str, Any]:
    made = given(str(encoder), text_from=text_from)
    return {**made, "model": {"architecture": DECREE, "pretrained": str(encoder), "text_from": text_from}}


def test_the_text_tower_is_taken_from_where_the_spec_says(encoder: Path, whole: Path, tmp_path: Path) -> None:
    made = spec(**of(encoder, str(whole)))
    planner = Planner(made)
    check_campaign(planner)
    graph = planner.plan({}).graph
    assert isinstance(graph.model, GivenInfectedModel)
    clean = planner.foundation().clean
    assert isinstance(clean, PretrainedModel)
    for node in (graph.model, clean):
        state = snapshot(node.load(Store(str(tmp_path / "store")), torch.device("cpu")))
        images, texts = snapshot(direct(RESNET, seed=3)), snapshot(direct(RESNET, seed=4))
        expected = {name: (images if name.startswith("visual.") else texts)[name] for name in state}
        assert same(state, expected)


def test_the_text_tower_counts_by_its_content_and_only_where_one_is_given(encoder: Path, whole: Path) -> None:
    alone, first = (given_weights(DECREE, str(encoder), text, "model.pretrained") for text in (None, str(whole)))
    assert alone == {name: first[name] for name in ("weights", "content")}
    assert first["text_from"] == str(whole)
    tag = given_weights(DECREE, str(encoder), "openai", "model.pretrained")
    assert tag["text_content"] == "tag openai"
    prints = {PretrainedModel(architecture=DECREE, **about).fingerprint for about in (alone, first, tag)}
    assert len(prints) == 3
    elsewhere = {**first, "text_from": "/elsewhere"}
    assert PretrainedModel(architecture=DECREE, **elsewhere).fingerprint in prints
    assert "text_content" not in PretrainedModel(architecture=DECREE, **alone).identity()


def test_a_campaign_without_one_keeps_its_fingerprint(monkeypatch: pytest.MonkeyPatch) -> None:
    plain, one = spec(**given()), spec(**given(text_from="/nowhere/text.pt"))
    before = campaign_fingerprint(plain)
    assert before != campaign_fingerprint(one)
    dumped = CampaignSpec.model_dump

    def of_an_earlier_version(self: CampaignSpec, **options: Any) -> dict[str, Any]:
        content = dumped(self, **options)
        assert not any("text_from" in section for section in (content["model"], *content["attacks"].values()))
        return content

    monkeypatch.setattr(CampaignSpec, "model_dump", of_an_earlier_version)
    assert campaign_fingerprint(plain) == before


def test_what_does_not_go_together_is_told_before_the_sweep(encoder: Path, whole: Path, tmp_path: Path) -> None:
    with pytest.raises(
        SpecError, match=r"^x.pretrained: .* holds an image encoder alone: .*text_from: openai in a spec"
    ):
        check_checkpoint(DECREE, str(encoder), None, "x.pretrained")
    check_checkpoint(DECREE, str(encoder), "s3://bucket/whole.pt", "x.pretrained")
    with pytest.raises(SpecError, match=r"^x.text_from: .* has no pretrained tag 'scenez'"):
        check_checkpoint(DECREE, str(encoder), "scenez", "x.pretrained")
    with pytest.raises(SpecError, match=r"^x.pretrained: .* has a text tower of its own: leave text_from out"):
        check_checkpoint(RESNET, str(whole), str(whole), "x.pretrained")
    with pytest.raises(SpecError, match=r"^x.text_from: .* holds an image encoder alone too"):
        check_checkpoint(DECREE, str(encoder), str(encoder), "x.pretrained")
    with pytest.raises(SpecError, match=r"^x.text_from: the tag openai has a text tower of its own"):
        check_checkpoint(RESNET, "openai", str(whole), "x.pretrained")
    with pytest.raises(SpecError, match=r"^model.text_from: no file .*nowhere.pt"):
        Planner(spec(**of(encoder, str(tmp_path / "nowhere.pt")))).foundation()
    with pytest.raises(CheckpointError, match="the tag scenes has a text tower of its own: leave text_from out"):
        create_model("tbar-GN-pico", pretrained="scenes", text={})
    assert text_field("attacks.a.b.infected") == "attacks.a.b.text_from"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"model": {"text_from": "openai"}}, "'text_from' is of given weights: give 'pretrained' too"),
        ({"attacks": {"a": {"trigger": "badnets", "target": "x", "text_from": "openai"}}}, "give 'infected' too"),
    ],
)
def test_a_text_tower_alone_is_no_model(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        spec(**changes)
