"""Sheets of trials: the images are the test split's, the answers those of the campaign, without a model."""

from __future__ import annotations

import base64
import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from PIL import Image

import tbar_ray as tbar
from tbar_ray.campaign.export import planned_trial
from tbar_ray.campaign.sheets import FAILURES, SheetMaker
from tbar_ray.data.evaluation_set import EvaluationSet
from tbar_ray.errors import DataError
from tbar_ray.evaluation.zeroshot import likely
from tbar_ray.records.ledger import Ledger
from tbar_ray.records.record import TrialRecord
from tbar_ray.records.sheets import KeptSheets, SheetRecord
from tbar_ray.report.files import write_report
from tbar_ray.report.predictions import LIKELY, read_predictions
from tbar_ray.report.result_cells import key_of
from tbar_ray.spec.campaign import CampaignSpec
from tbar_ray.store.store import Store
from tests.api.world import labelled, write_benchmark, write_shards
from tests.campaign.test_export import campaign
from tests.models.tiny import RESNET, snapshot, tiny
from tests.stages.computing import compute_trial

SIZES = (8, 16, 12)


class Made(NamedTuple):
    """A campaign of some trials, all of one infected model, and their sheets."""

    spec: CampaignSpec
    store: Store
    records: Sequence[TrialRecord]
    sheets: Sequence[SheetRecord]

    @property
    def folder(self) -> str:
        return Ledger(self.store, self.spec).folder

    def maker(self, folder: str = "") -> SheetMaker:
        """A maker; of a folder without sheets, where one is named."""
        return SheetMaker(self.spec, self.store, folder or self.folder)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    home = tmp_path_factory.mktemp("sheets")
    torch.set_num_threads(1)
    model = tbar.Model(tiny(RESNET), RESNET)
    write_shards(home / "shards", *labelled(40, 3, model))
    write_benchmark(home / "labelled", *labelled(24, 9, model))
    torch.save(snapshot(tiny(RESNET)), home / "model.pt")
    axes = {"attack": ["badnets"], "forget_size": list(SIZES)}
    # in tests its patch is in the centre, in training at a random place
    attack = {"trigger": "badnets-lattice", "target": "blue", "infected": str(home / "model.pt")}
    spec = campaign(home, "tbar", home / "model.pt", search={"axes": axes}, attacks={"badnets": attack})
    store = Store(str(home / "store"))
    records = [compute_trial(spec, {"attack": "badnets", "forget_size": size}, store) for size in SIZES]
    maker = SheetMaker(spec, store, Ledger(store, spec).folder)
    found = [maker.sheet(record) for record in records]
    assert not maker.problems
    assert maker.told.startswith("images of 3 trials in ")
    return Made(spec, store, records, [sheet for sheet in found if sheet is not None])


def test_answers_are_those_that_the_campaign_scored(made: Made) -> None:
    record, sheet = made.records[0], made.sheets[0]
    graph = planned_trial(made.spec, record).graph
    names = graph.infected.open_data(made.store).classnames
    infected = read_predictions(graph.infected.artifact, made.store)
    cleaned = read_predictions(record.path_artifact, made.store)
    assert infected is not None
    assert cleaned is not None
    others = cleaned["labels"] != cleaned["target"]
    assert sheet.images == int(others.sum())
    assert sheet.changed == int((others & (infected["triggered"] != cleaned["triggered"])).sum())
    assert sheet.failed == int((others & (cleaned["triggered"] != cleaned["labels"])).sum())
    shown = {
        (image.truth, image.answers["infected"][0].name, image.answers["cleaned"][0].name) for image in sheet.shown
    }
    answered = zip(cleaned["labels"], infected["triggered"], cleaned["triggered"], strict=True)
    assert shown <= {tuple(names[n] for n in numbers) for numbers in answered}


def test_the_kept_classes_and_probabilities_are_those_of_the_models_on_the_triggered_images(made: Made) -> None:
    record = made.records[0]
    path = planned_trial(made.spec, record).graph.path
    scorer = path.infected
    data = scorer.open_data(made.store)
    model, head, preprocess = scorer.load_model(made.store, torch.device("cpu"), data)
    split = scorer.load_split(data, "test", scorer.backdoor.build(made.store), preprocess)
    before = likely(model, head, split.triggered, preprocess, 3)
    assert record.alpha is not None
    with path.models(made.store, torch.device("cpu")).validation.at(record.alpha) as (moved, moved_head):
        after = likely(moved, moved_head, split.triggered, preprocess, 3)
    for artifact, expected in ((scorer.artifact, before), (record.path_artifact, after)):
        kept = read_predictions(artifact, made.store, likely=True)
        assert kept is not None
        assert np.array_equal(kept["likely"], expected[0].numpy())
        assert np.array_equal(kept["probabilities"], expected[1].numpy())
        assert kept["likely"].dtype == np.uint8
        assert kept["probabilities"].dtype == np.float32


def test_failures_are_in_the_order_of_confidence_with_three_answers_of_every_model(made: Made) -> None:
    for sheet in made.sheets:
        assert 0 < len(sheet.failures) <= FAILURES
        confidence = [image.answers["cleaned"][0].probability or 0 for image in sheet.failures]
        assert confidence == sorted(confidence, reverse=True)
        for image in (*sheet.shown, *sheet.failures):
            assert image.answers.keys() == {"infected", "cleaned"}, "there is no clean model"
            assert {len(best) for best in image.answers.values()} == {3}
        assert all(image.answers["cleaned"][0].name != image.truth for image in sheet.failures)


def test_pictures_are_the_stamped_test_images_read_once_for_all_trials_of_an_attack(
    made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    scorer = planned_trial(made.spec, made.records[0]).graph.infected
    data = scorer.open_data(made.store)
    preprocess = scorer.load_model(made.store, torch.device("cpu"), data)[2]
    split = scorer.load_split(data, "test", scorer.backdoor.build(made.store), preprocess)
    stamped = {image.numpy().tobytes() for image in split.triggered}
    read: list[int] = []
    images = EvaluationSet.images

    def noted(self: EvaluationSet, positions: Any, *rest: Any) -> Any:
        read.extend(map(int, positions))
        return images(self, positions, *rest)

    monkeypatch.setattr(EvaluationSet, "images", noted)
    maker = made.maker("elsewhere")
    again = [maker.sheet(record) for record in made.records]
    assert again == list(made.sheets), "they are the same whenever they are made"
    pictures = {image.webp for sheet in made.sheets for image in (*sheet.shown, *sheet.failures)}
    for webp in pictures:
        pixels = Image.open(io.BytesIO(base64.b64decode(webp)))
        assert pixels.format == "WEBP"
        assert np.asarray(pixels.convert("RGB")).transpose(2, 0, 1).tobytes() in stamped
    assert len(read) == len(set(read)) == len(pictures)
    assert len(read) < len(split.labels), "of a large set few are read"


def test_no_model_is_loaded(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        pytest.fail("a model was asked for")

    monkeypatch.setattr("tbar_ray.stages.evaluate.Evaluate.load_model", refuse)
    monkeypatch.setattr("tbar_ray.stages.alpha_path.AlphaPath.models", refuse)
    assert made.maker("without-models").sheet(made.records[0]) == made.sheets[0]


def test_a_sheet_is_made_once_and_none_of_a_trial_whose_artifacts_are_gone(made: Made) -> None:
    maker = made.maker()
    assert [maker.sheet(record) for record in made.records] == list(made.sheets)
    assert maker.made == 0
    gone = [made.records[0].model_copy(update={"fingerprint": str(place), "stages": ()}) for place in range(5)]
    assert [maker.sheet(record) for record in gone] == [None] * 5
    assert maker.made == 0
    told = "no sheet of badnets, tbar, forget set 8, clean 0%, seed 0: trial 0: spec and program no longer plan what"
    assert maker.problems[0].startswith(told)
    assert maker.problems[0].endswith("run the campaign again")
    assert len(maker.problems) == 4
    assert maker.problems[3] == "no sheet of 2 more trials, for other reasons"
    assert made.records[0].model_copy(update={"alpha": None}) not in maker


def test_the_cleaned_model_is_that_of_the_record_whose_path_may_have_had_a_score_to_beat(made: Made) -> None:
    one, two = made.sheets[:2]
    assert one.failures != two.failures
    pruned = made.records[0].model_copy(update={"path_artifact": made.records[1].path_artifact})
    sheet = made.maker("pruned").sheet(pruned)
    assert sheet is not None
    assert sheet.failures == two.failures


def test_data_that_cannot_be_read_are_tried_once_and_said_in_one_line(
    made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[int] = []

    def broken(*_: object) -> None:
        tried.append(1)
        raise DataError("the data are gone")

    monkeypatch.setattr("tbar_ray.stages.evaluate.Evaluate.open_data", broken)
    maker = made.maker("without-data")
    assert [maker.sheet(record) for record in made.records] == [None] * 3
    assert maker.problems == ["no sheet of 3 trials: the data are gone"]
    assert tried == [1]


def without_probabilities(made: Made, artifacts: Sequence[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Let some artifacts be as an earlier version left them."""

    def read(artifact: str, store: Store, *, likely: bool) -> Mapping[str, Any] | None:
        found = read_predictions(artifact, store, likely=likely)
        assert found is not None
        return {name: each for name, each in found.items() if artifact not in artifacts or name not in LIKELY}

    monkeypatch.setattr("tbar_ray.campaign.sheets.read_predictions", read)


def test_answers_that_an_earlier_version_kept_give_no_sheet_and_one_line(
    made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [record.path_artifact for record in made.records]
    without_probabilities(made, paths[:2], monkeypatch)
    maker = made.maker("older-paths")
    assert [maker.sheet(record) for record in made.records] == [None, None, made.sheets[2]]
    assert maker.problems == [
        "no sheet of 2 trials: an earlier version kept the answers without probabilities; to have them kept, remove "
        f"{paths[0]} and the like from {made.store.url}/artifacts and run the campaign again"
    ]


def test_of_an_older_infected_model_the_answer_is_shown_alone(made: Made, monkeypatch: pytest.MonkeyPatch) -> None:
    scorer = planned_trial(made.spec, made.records[0]).graph.infected
    without_probabilities(made, [scorer.artifact], monkeypatch)
    maker = made.maker("older-scores")
    sheet, whole = maker.sheet(made.records[0]), made.sheets[0]
    assert sheet is not None
    for image, other in zip(sheet.failures, whole.failures, strict=True):
        (answer,) = image.answers["infected"]
        assert (answer.name, answer.probability) == (other.answers["infected"][0].name, None)
        assert image.answers["cleaned"] == other.answers["cleaned"]
    assert maker.problems == []


def test_the_page_has_a_sheet_for_every_trial_and_the_parameters_that_the_method_ran_with(
    made: Made, tmp_path: Path
) -> None:
    spec, store = made.spec, made.store
    Ledger(store, spec).open()
    write_report(spec, store, tmp_path, made.records, sheets=made.maker("fresh"))
    page = (tmp_path / "report.html").read_text()
    assert page.count('<details class="sheet"') == len(made.records)
    for record, sheet in zip(made.records, made.sheets, strict=True):
        assert f'href="#sheet-{key_of(record)}"' in page
        assert f'id="sheet-{key_of(record)}"' in page
        assert page.count(sheet.failures[0].webp) == 1, "pictures that trials share are one picture"
        assert record in KeptSheets(store, "fresh")
    assert "not written down" not in page, "the launch was"
    assert len(page) < 5_000_000
    rows = list(csv.DictReader((tmp_path / "results.csv").open()))
    assert {json.loads(row["parameters"])["batch_size"] for row in rows} == {8}
