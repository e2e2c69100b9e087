"""Sheets of trials: the images are the test split's, the answers those of the campaign."""

from __future__ import annotations

import base64
import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import tbar_ray as tbar
from tbar_ray.campaign import sheets
from tbar_ray.campaign.export import planned_trial
from tbar_ray.campaign.sheets import make_sheets
from tbar_ray.records.ledger import Ledger
from tbar_ray.records.record import TrialRecord
from tbar_ray.records.sheets import SheetRecord, read_sheet
from tbar_ray.report.files import write_report
from tbar_ray.report.predictions import read_predictions
from tbar_ray.spec.campaign import CampaignSpec
from tbar_ray.store.store import Store
from tests.api.world import labelled, write_benchmark, write_shards
from tests.campaign.test_export import campaign
from tests.models.tiny import VIT, snapshot, tiny
from tests.stages.computing import compute_trial

Made = tuple[CampaignSpec, Store, TrialRecord, SheetRecord]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """A campaign of one trial, and its sheet."""
    home = tmp_path_factory.mktemp("sheets")
    torch.set_num_threads(1)
    model = tbar.Model(tiny(VIT), VIT)
    write_shards(home / "shards", *labelled(40, 3, model))
    write_benchmark(home / "labelled", *labelled(24, 9, model))
    torch.save(snapshot(tiny(VIT)), home / "vit.pt")
    spec, store = campaign(home, "rvpt", home / "vit.pt"), Store(str(home / "store"))
    record = compute_trial(spec, {"attack": "badnets", "seed": 0}, store)
    lines: list[str] = []
    warned: list[str] = []
    assert make_sheets(spec, store, [record], lines.append, warned.append) == 1
    assert not warned
    assert lines == ["sheet 1 of 1: badnets, rvpt, forget set 16, clean 0%, seed 0, α 1"]
    sheet = read_sheet(store, Ledger(store, spec).folder, record.fingerprint)
    assert sheet is not None
    return spec, store, record, sheet


def test_answers_are_those_that_the_campaign_scored(made: Made) -> None:
    spec, store, record, sheet = made
    graph = planned_trial(spec, record).graph
    names = graph.infected.open_data(store).classnames
    kept = {
        "infected": read_predictions(graph.infected.artifact, store),
        "cleaned": read_predictions(record.path_artifact, store),
    }
    infected, cleaned = kept["infected"], kept["cleaned"]
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


def test_failures_are_in_the_order_of_confidence_with_three_answers_of_every_model(made: Made) -> None:
    *_, sheet = made
    assert 0 < len(sheet.failures) <= sheets.FAILURES
    confidence = [image.answers["cleaned"][0].probability for image in sheet.failures]
    assert confidence == sorted(confidence, reverse=True)
    for image in (*sheet.shown, *sheet.failures):
        assert image.answers.keys() == {"infected", "cleaned"}, "there is no clean model"
        assert {len(best) for best in image.answers.values()} == {3}
        pixels = Image.open(io.BytesIO(base64.b64decode(image.webp)))
        assert pixels.format == "WEBP"
        assert np.asarray(pixels).std() > 0
    assert all(image.answers["cleaned"][0].name != image.truth for image in sheet.failures)


def test_a_sheet_is_made_once_and_none_of_a_trial_whose_artifacts_are_gone(made: Made) -> None:
    spec, store, record, _ = made
    lines: list[str] = []
    made_now: list[str] = []
    assert make_sheets(spec, store, [record], made_now.append, lines.append) == 0
    gone = record.model_copy(update={"fingerprint": "gone", "stages": ()})
    without = record.model_copy(update={"alpha": None})
    assert make_sheets(spec, store, [gone, without], made_now.append, lines.append) == 0
    assert not made_now
    assert lines == [next(line for line in lines if "none of badnets" in line)]
    assert "run the campaign again" in lines[0]


def test_the_report_of_a_campaign_has_the_sheet_and_the_parameters_that_the_method_ran_with(
    made: Made, tmp_path: Path
) -> None:
    spec, store, record, sheet = made
    Ledger(store, spec).open()
    write_report(spec, store, tmp_path, [record])
    page = (tmp_path / "report.html").read_text()
    assert page.count('<details class="sheet"') == 1
    assert sheet.failures[0].webp in page
    assert "not written down" not in page, "the launch was"
    assert len(page) < 5_000_000
    (row,) = csv.DictReader((tmp_path / "results.csv").open())
    assert json.loads(row["parameters"])["batch_size"] == 8
