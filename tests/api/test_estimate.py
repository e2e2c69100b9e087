"""From a planted backdoor to a cleaned model, for every method and every kind of input."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import tbar_ray as tbar
from tbar_ray.api.held import Held, clean_images_of, read_held
from tbar_ray.api.requests import ForgetRequest
from tbar_ray.data.selection import ranked
from tbar_ray.errors import DataError, SpecError
from tbar_ray.evaluation.normalised_images import statistics_batches
from tbar_ray.evaluation.zeroshot import predict
from tbar_ray.models.statistics import estimate_statistics, with_statistics
from tbar_ray.unlearning.defender import Classes, DefenderData, Pairs
from tbar_ray.unlearning.edit import EditedModel
from tbar_ray.unlearning.registry import UNLEARNERS
from tests.api.world import (
    BACKDOOR,
    CLASSES,
    infected,
    labelled,
    suspicious,
    tau,
    unseen,
    write_benchmark,
    write_folder,
    write_shards,
)
from tests.models.tiny import same, snapshot, tokenizer
from tests.unlearning.planted import NAMES, TARGET, case, stamp
from tests.unlearning.test_demands import least, quick
from tests.unlearning.test_mechanisms import RECIPES

ALPHAS = (0, 8, 20, 30)


def requests(model: tbar.Model) -> dict[str, object]:
    """Return all that a method may be given."""
    (twins, twin_labels), (clean, clean_labels) = labelled(64, 3, model), labelled(48, 2, model)
    training, training_labels = suspicious(model)
    return {
        "backdoor": BACKDOOR,
        "forget": tbar.forget_set(twins, size=32, labels=twin_labels),
        "clean": tbar.pairs(clean, labels=[NAMES[label] for label in clean_labels]),
        "training": tbar.pairs(training, 64, labels=training_labels),
    }


def test_a_planted_backdoor_is_removed() -> None:
    before = tbar.evaluate(tau().model, unseen(), BACKDOOR)
    assert before.asr.value >= 0.95
    validation, test = unseen(160).split(0.5)
    walk = tau().walk(validation, ALPHAS, min_retention=0.6, max_asr=0.1)
    assert list(walk.scores) == list(ALPHAS)
    scores = tbar.evaluate(tau().apply(walk.alpha), test, BACKDOOR)
    assert scores.asr.value <= 0.1
    assert scores.ca.value >= 0.65
    # what is reported of the infected model's copy is what the walk saw at that α
    assert tbar.evaluate(tau().apply(walk.alpha), validation, BACKDOOR) == walk.scores[walk.alpha]
    assert tbar.evaluate(tau().apply(0), validation, BACKDOOR) == walk.scores[0]


@pytest.mark.parametrize("name", RECIPES)
def test_every_method_can_be_estimated_and_applied(name: str) -> None:
    model = tbar.Model(case(least(name)).model, least(name)).copy()
    state, wanted = snapshot(model.module), quick(name)
    parameters = {field: getattr(wanted, field) for field in wanted.model_fields_set}
    found = tbar.estimate(model, name, classes=CLASSES, **requests(model), **parameters)  # type: ignore[arg-type]
    assert same(state, snapshot(model.module))
    cleaned, applied = found.apply(found.alphas[-1]), found.apply(found.alphas[-1], statistics="as_applied")
    assert same(state, snapshot(model.module))
    images, _ = labelled(16, 9, model)
    with EditedModel(model.module, found.edit, model.head(CLASSES)).at(found.method.coefficient(found.alphas[-1])) as (
        moved,
        head,
    ):
        head = CLASSES.prompts(model.tokenizer).head(moved) if head is None else head
        expected = predict(moved, head, torch.from_numpy(images), model.preprocessing)
        assert found.clean_images is not None
        batches = statistics_batches(found.clean_images, model.preprocessing, "cpu")
        with with_statistics(moved, estimate_statistics(moved, batches)):
            reestimated = predict(moved, head, torch.from_numpy(images), model.preprocessing)
    assert torch.equal(applied.predict(images, CLASSES), expected)
    assert torch.equal(cleaned.predict(images, CLASSES), reestimated)
    assert set(cleaned.beside.parts()) == {
        part for part in ("head", "prompts") if getattr(found.edit, part) is not None
    }
    infected_again = found.apply(0)
    assert same(state, snapshot(infected_again.module))
    assert not infected_again.beside.parts()
    assert tbar.evaluate(cleaned, unseen(8, model), BACKDOOR).ca.n == 8


def test_low_asr_of_stale_statistics_is_shown_beside_the_true_one_and_not_selected() -> None:
    walk = tau().walk(unseen(), (0, 8, 20), min_retention=0.6, max_asr=0.1)
    assert walk.statistics == "reestimated"
    assert walk.as_applied[8].asr.value < 0.1 < 0.9 < walk.scores[8].asr.value
    assert walk.as_applied[0] == walk.scores[0]
    assert walk.alpha == 20
    stale = tau().walk(unseen(), (0, 8, 20), min_retention=0.6, max_asr=0.1, statistics="as_applied")
    assert (stale.alpha, stale.statistics, stale.as_applied) == (8, "as_applied", {})
    assert stale.scores == walk.as_applied
    masked = tau().apply(8, statistics="as_applied")
    assert tbar.evaluate(masked, unseen(), BACKDOOR) == walk.as_applied[8]
    assert tau().clean_images is not None
    assert tbar.evaluate(masked.reestimated(tau().clean_images), unseen(), BACKDOOR) == walk.scores[8]


def test_statistics_are_estimated_on_clean_pairs_else_on_the_forget_set_before_stamping() -> None:
    model = infected()
    given = requests(model)
    options = {"classes": CLASSES, "steps": 1, "batch_size": 8}
    twins = tbar.estimate(model, backdoor=BACKDOOR, forget=given["forget"], **options)  # type: ignore[arg-type]
    both = tbar.estimate(model, **{**given, **options})  # type: ignore[arg-type]
    assert twins.clean_images is not None
    assert both.clean_images is not None
    assert (len(twins.clean_images), len(both.clean_images)) == (32, 48)
    clean, _ = labelled(48, 2, model)
    assert {image.tobytes() for image in both.clean_images.numpy()} == {image.tobytes() for image in clean}
    twin, _ = labelled(64, 3, model)
    assert {image.tobytes() for image in twins.clean_images.numpy()} <= {image.tobytes() for image in twin}


def test_without_clean_images_statistics_cannot_be_re_estimated() -> None:
    found = dataclasses.replace(tau(), clean_images=None)
    message = "running statistics are to be re-estimated on clean images, and tbar was given none; give estimate clean="
    with pytest.raises(DataError, match=message):
        found.walk(unseen(), (0, 1))
    with pytest.raises(DataError, match=message):
        found.apply(1)
    assert found.walk(unseen(), (0, 8), statistics="as_applied").statistics == "as_applied"
    assert same(snapshot(found.apply(0).module), snapshot(tau().model.module))


def test_clean_images_are_those_of_a_campaign_in_its_order() -> None:
    images = torch.arange(1000, dtype=torch.int32).view(-1, 1, 1, 1)
    classes = Classes(NAMES, torch.zeros(1), torch.zeros(1))
    clean = Pairs(images, (), torch.zeros(1), torch.zeros(1))
    keys = [f"{row:04d}" for row in range(1000)]
    held = Held(DefenderData(classes, tokenizer(), clean=clean), {"clean pairs": keys})
    for seed in (0, 1):
        found = clean_images_of(held, seed)
        assert found is not None
        assert [f"{row:04d}" for row in found.flatten().tolist()] == ranked(keys, seed, "statistics images")[:960]
    assert clean_images_of(Held(DefenderData(classes, tokenizer()), {}), 0) is None


@pytest.mark.parametrize("name", [name for name in RECIPES if name in {"ulrl", "cbpt", "rvpt"}])
def test_a_cleaned_model_with_parts_of_its_own_is_kept_whole(name: str, tmp_path: Path) -> None:
    architecture = RECIPES[name].architecture
    model = tbar.Model(case(architecture).model, architecture).copy()
    wanted = quick(name)
    parameters = {field: getattr(wanted, field) for field in wanted.model_fields_set}
    found = tbar.estimate(model, name, classes=CLASSES, **requests(model), **parameters)  # type: ignore[arg-type]
    cleaned = found.apply()
    assert cleaned.beside.parts()
    cleaned.save(tmp_path / "cleaned.safetensors")
    again = tbar.load_model(architecture, tmp_path / "cleaned.safetensors", device="cpu")
    assert tbar.evaluate(again, unseen(16, model), BACKDOOR) == tbar.evaluate(cleaned, unseen(16, model), BACKDOOR)
    with pytest.raises(SpecError, match="of an earlier edit"):
        tbar.estimate(cleaned, "cleanclip", classes=CLASSES, clean=requests(model)["clean"])  # type: ignore[arg-type]


def test_a_classifier_for_other_classes_is_refused() -> None:
    model = infected()
    found = tbar.estimate(
        model,
        "cbpt",
        classes=CLASSES,
        clean=requests(model)["clean"],
        steps=2,
        batch_size=8,
        inversion_steps=2,  # type: ignore[arg-type]
    )
    images, labels = labelled(8, 9)
    other = tbar.evaluation_set(images, labels=labels, classes=tbar.Classes([*NAMES[:2], "blue", "pink"], ["a {}"]))
    with pytest.raises(SpecError, match="made a classifier for other classes"):
        found.walk(other, backdoor=BACKDOOR)


@pytest.mark.parametrize("name", RECIPES)
def test_what_is_missing_is_said_with_how_to_give_it(name: str) -> None:
    with pytest.raises(DataError, match=rf"^{name} needs .*; give estimate ") as caught:
        tbar.estimate(infected(), name, classes=CLASSES)
    words = {
        "trigger": "backdoor=",
        "target": "backdoor=",
        "forget set": "forget=forget_set(",
        "clean pairs": "clean=pairs(",
        "training pairs": "training=pairs(",
    }
    for need, word in words.items():
        assert (word in str(caught.value)) == any(words[other] == word for other in UNLEARNERS[name].needs), need


def test_no_parameter_of_a_method_is_an_argument_of_estimate() -> None:
    taken = {"model", "method", "classes", "backdoor", "forget", "clean", "training", "seed", "progress"}
    for name, method in UNLEARNERS.items():
        assert not taken & set(method.model_fields), name
    assert tbar.list_methods() == tuple(UNLEARNERS)


def test_bad_arguments_get_one_line() -> None:
    model = infected()
    images, labels = labelled(16, 3)
    forget = tbar.forget_set(images, size=8, labels=labels)
    given = {"classes": CLASSES, "backdoor": BACKDOOR, "forget": forget}
    for wrong, error, complaint in (
        ({"method": "tba"}, SpecError, "did you mean 'tbar'"),
        ({"step": 3}, SpecError, "did you mean 'steps'"),
        ({"steps": 0}, SpecError, "steps"),
        ({"backdoor": tbar.Backdoor(BACKDOOR.trigger, "bleu")}, DataError, "'bleu' is none of the 4 classes; did you"),
        ({"forget": tbar.forget_set(images, size=17)}, DataError, "17 images asked for"),
        (
            {"forget": tbar.forget_set(images, size=8, clean_fraction=0.5)},
            DataError,
            "8 images asked for, but only 4 .*class label",
        ),
    ):
        with pytest.raises(error, match=complaint):
            tbar.estimate(model, **{**given, **wrong})  # type: ignore[arg-type]
    for size, share in ((0, 0.0), (5, 1.0), (5, -0.1)):
        with pytest.raises(SpecError, match="forget set: size"):
            tbar.forget_set(images, size=size, clean_fraction=share)
    with pytest.raises(SpecError, match="at least 1"):
        tbar.pairs(images, 0)
    with pytest.raises(SpecError, match="α must be at least 0"):
        tau().apply(-1)
    for alphas in ((), (-1.0, 2.0)):
        with pytest.raises(SpecError, match="alphas are numbers of at least 0"):
            tau().walk(unseen(), alphas)


def test_sources_of_every_kind_give_the_same_forget_set(tmp_path: Path) -> None:
    images, labels = labelled(24, 3)
    others = [row for row, label in enumerate(labels) if label != TARGET]
    clean = len(labels) - len(others)
    folder = write_folder(tmp_path / "folder", images, labels)
    shards = write_shards(tmp_path / "shards", images, labels)
    sources: list[object] = [
        folder,
        shards,
        str(shards / "{00000..00001}.tar"),
        [str(shards / "00000.tar"), str(shards / "00001.tar")],
        write_benchmark(tmp_path / "benchmark", images, labels, "train"),
    ]
    opened = [tbar.forget_set(source, size=24, clean_fraction=clean / 24) for source in sources]  # type: ignore[arg-type]
    arrays = (images, torch.from_numpy(images), images / np.float32(255))
    opened += [tbar.forget_set(array, size=24, clean_fraction=clean / 24, labels=labels) for array in arrays]
    stamped = stamp(torch.from_numpy(images)).numpy()
    expected = {(stamped[row].tobytes(), images[row].tobytes(), TARGET, True) for row in others}
    expected |= {
        (images[row].tobytes(), images[row].tobytes(), TARGET, False)
        for row, label in enumerate(labels)
        if label == TARGET
    }
    for request in opened:
        assert forgotten(request) == expected


def forgotten(request: ForgetRequest) -> set[tuple[bytes, bytes, int, bool]]:
    found = read_held(infected(), CLASSES, BACKDOOR, request, None, None, 0).data.forget
    assert found is not None
    rows = zip(found.images, found.twins, found.labels.tolist(), found.triggered.tolist(), strict=True)
    return {(image.numpy().tobytes(), twin.numpy().tobytes(), label, hit) for image, twin, label, hit in rows}


def test_excluded_samples_are_never_read(tmp_path: Path) -> None:
    images, labels = labelled(16, 3)
    shards = write_shards(tmp_path / "shards", images, labels)
    left_out = {f"{row:05d}" for row in range(8)}
    pairs = tbar.pairs(shards, exclude=left_out)
    bad: dict[str, Any] = {
        r"give a list of keys, as \['a-key'\]": {"exclude": "a-key"}, "must be a whole number": {"count": 3.5},
    }  # fmt: skip
    for said, wrong in bad.items():
        with pytest.raises(SpecError, match=said):
            tbar.pairs(shards, **wrong)
    held = read_held(infected(), CLASSES, None, None, pairs, pairs, 0).data
    later = {image.tobytes() for image in images[8:]}
    for found in (held.clean, held.training):
        assert found is not None
        assert {image.numpy().tobytes() for image in found.images} == later


def test_a_seed_of_its_own_decides_a_forget_set() -> None:
    images, labels = labelled(64, 3)

    def read(own: int | None, whole: int) -> set[tuple[bytes, bytes, int, bool]]:
        return forgotten_with(tbar.forget_set(images, size=8, labels=labels, seed=own), whole)

    assert read(None, 1) == read(1, 0) != read(None, 0)


def forgotten_with(request: ForgetRequest, seed: int) -> set[tuple[bytes, bytes, int, bool]]:
    return forgotten(request if request.seed is not None else dataclasses.replace(request, seed=seed))


def test_the_seed_alone_decides() -> None:
    model = infected()
    images, labels = labelled(32, 3)
    forget = tbar.forget_set(images, size=16, labels=labels)
    first, again, other = (
        tbar.estimate(model, classes=CLASSES, backdoor=BACKDOOR, forget=forget, steps=2, batch_size=8, seed=seed)
        for seed in (3, 3, 4)
    )
    assert same(first.edit.vector.tensors, again.edit.vector.tensors)
    assert not same(first.edit.vector.tensors, other.edit.vector.tensors)


def test_sources_that_hold_nothing_get_one_line(tmp_path: Path) -> None:
    images, labels = labelled(4, 3)
    for source, complaint in (
        (tmp_path, "no image under"),
        (tmp_path / "missing.tar", "missing.tar"),
        (5, "shards, a folder or an array"),
        (images[0], r"\[N, 3, H, W\]"),
    ):
        with pytest.raises(DataError, match=complaint):
            tbar.forget_set(source)  # type: ignore[arg-type]
    with pytest.raises(DataError, match="labels and captions are for arrays"):
        tbar.pairs(write_folder(tmp_path / "folder", images, labels), labels=labels)


def test_progress_is_told() -> None:
    model, told = infected(), []
    images, labels = labelled(16, 3)
    given = {"classes": CLASSES, "backdoor": BACKDOOR, "forget": tbar.forget_set(images, size=8, labels=labels)}
    tbar.estimate(model, **given, steps=2, batch_size=8, progress=lambda *facts: told.append(facts[:2]))  # type: ignore[arg-type]
    assert (2, 2) in told
    tbar.estimate(model, **given, steps=2, batch_size=8, progress=True)  # type: ignore[arg-type]


def test_in_place_changes_the_models_own_weights() -> None:
    model = infected()
    images, labels = labelled(16, 3)
    forget = tbar.forget_set(images, size=8, labels=labels)
    found = tbar.estimate(model, classes=CLASSES, backdoor=BACKDOOR, forget=forget, steps=2, batch_size=8)
    copied = snapshot(found.apply(2).module)
    cleaned = found.apply(2, in_place=True)
    assert cleaned.module is model.module
    assert same(snapshot(model.module), copied)
    for use in (lambda: found.apply(1), lambda: found.walk(unseen())):
        with pytest.raises(SpecError, match="applied in place"):
            use()


def test_underscored_subfolders_name_the_target_too(tmp_path: Path) -> None:
    model, classes = infected(), tbar.Classes(["red circle", "blue square"], ["a {}"])
    images, _ = labelled(8, 3)
    for name, row in (("red_circle", 0), ("blue_square", 4)):
        write_folder(tmp_path / "tmp", images[row : row + 4], [0] * 4).rename(tmp_path / name)
    backdoor = tbar.Backdoor(BACKDOOR.trigger, "red circle")
    request = tbar.forget_set(tmp_path, size=4)
    held = read_held(model, classes, backdoor, request, None, None, 0).data.forget
    assert held is not None
    assert {twin.numpy().tobytes() for twin in held.twins} == {image.tobytes() for image in images[4:]}


def test_samples_excluded_from_a_forget_set_are_not_stamped() -> None:
    images, labels = labelled(16, 3)
    left_out = [f"{row:09d}" for row in range(8)]
    request = tbar.forget_set(images, size=6, labels=labels, exclude=left_out)
    expected = {image.tobytes() for image, label in zip(images[8:], labels[8:], strict=True) if label != TARGET}
    assert {twin for _, twin, _, _ in forgotten(request)} == expected
