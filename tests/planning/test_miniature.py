"""A spec in miniature: amounts are cut, what is tried is kept, and nothing makes a stage fail or be skipped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tbar_ray.inversion.registry import INVERTERS, build_inverter
from tbar_ray.planning.inversion import inversion_of
from tbar_ray.planning.methods import build_method
from tbar_ray.planning.miniature import FEW, PARTS, RATE, RATES, WORK, fitting, miniature
from tbar_ray.planning.stand_ins import StandIns
from tbar_ray.spec.campaign import CampaignSpec, Resources
from tbar_ray.unlearning.registry import UNLEARNERS
from tests.specs import spec

BIG = {"epochs": 10, "batch_size": 512, "micro_batch": 64, "optimisation": {"learning_rate": 1e-3, "warmup_steps": 500}}


WIDEST = 3072
"""Channels of a layer of ViT-B/32: a part of so many is a whole layer, of which it has 12."""


def small(**changes: Any) -> CampaignSpec:
    made = spec(**changes)
    return miniature(made, StandIns.of([made], Path("/nowhere")), Resources())


def test_amounts_are_cut_and_the_rest_is_kept() -> None:
    attacks = {
        "badnets": {"trigger": "badnets", "target": "red circle", "planting": {"method": "stealth"}},
        "learned": {
            "trigger": "badclip/badclip", "target": "red circle", "poison": {"count": 1500, "training": BIG},
            "patch": {"parameters": {"learning_rate": 0.5}},
        },
    }  # fmt: skip
    poison = {
        "rate": 0.3,
        "pairs": 500_000,
        "min_asr": 0.9,
        "max_ca_drop": 0.01,
        "training": {**BIG, "micro_batch": None},
    }
    made = small(attacks=attacks, poison=poison, search={"axes": {"attack": ["badnets", "learned"]}})
    training = made.attacks["learned"].poison.training
    assert training is not None
    assert (training.epochs, training.batch_size, training.micro_batch) == (1, 16, 8)
    assert (training.optimisation.warmup_steps, training.optimisation.learning_rate) == (1, RATE)
    assert (made.poison.rate, made.poison.count, made.poison.pairs) == (None, 2, 64)
    assert (made.poison.min_asr, made.poison.max_ca_drop) == (0, 1)
    assert made.attacks["badnets"].planting.method == "stealth"
    assert made.attacks["badnets"].poison.count is None
    patch = made.attacks["learned"].patch
    assert (patch.pairs, patch.target_images, patch.parameters["epochs"], patch.parameters["steps"]) == (8, 4, 1, 1)
    assert made.model.architecture == "tbar-RN-tiny"


def test_drawn_pairs_are_few_wherever_they_are_drawn() -> None:
    made = small(model={"training": BIG, "synthetic": {"samples": 50_000, "scenes": "rich", "seed": 3}})
    own, shared = made.model.synthetic, made.data.synthetic
    assert own is not None
    assert shared is not None
    assert (own.samples, own.samples_per_shard, own.scenes, own.seed) == (128, 64, "rich", 3)
    assert (shared.samples, shared.samples_per_shard, shared.per_class) == (128, 64, 2)


def test_nothing_is_too_bad_to_be_scored() -> None:
    made = small(
        evaluation={
            "min_retention": 0.95, "max_asr": 0.01, "templates": "openai", "statistics_images": 1000,
            "rebound": {"steps": 300, "pairs": 10_000, "sweep": [0.333, 3], "eligible_only": True},
            "downstream": ["int8"],
        },
        alpha=[0, 0.5, 1, 2],
        disentanglement={"training": {"epochs": 3}},
    )  # fmt: skip
    evaluation, rebound = made.evaluation, made.evaluation.rebound
    assert (evaluation.min_retention, evaluation.max_asr, evaluation.templates) == (0, 1, "evaluation")
    assert rebound is not None
    assert (rebound.steps, rebound.measured, rebound.pairs, rebound.sweep) == (1, (0, 1), 4, (0.333,))
    assert not rebound.eligible_only, "in miniature hardly any method removes"
    assert evaluation.downstream == ["int8"]
    assert made.methods["tbar"].alpha == [0, 2]
    assert made.disentanglement is not None
    assert (made.disentanglement.points, made.disentanglement.images) == (2, FEW)


@pytest.mark.parametrize("name", UNLEARNERS)
def test_every_method_has_little_to_do_and_keeps_its_other_parameters(name: str) -> None:
    before = build_method(spec(), name)
    made = small(unlearning={"method": name}, defender={"clean_pairs": 1000, "training_pairs": 1000})
    after = build_method(made, name)
    changed = {field for field in type(after).model_fields if getattr(before, field) != getattr(after, field)}
    assert changed <= {*WORK, *RATES, *PARTS}
    assert getattr(after, "steps", 0) <= 1
    amounts = {
        field for field, about in type(after).model_fields.items()
        if isinstance(getattr(after, field), int) and not isinstance(getattr(after, field), bool) and about
    }  # fmt: skip
    assert all(getattr(after, field) <= 50 for field in amounts - {*PARTS})
    assert all(getattr(after, field) >= WIDEST for field in amounts & {*PARTS})
    assert (made.defender.clean_pairs, made.defender.training_pairs) == (8, 8)


def test_a_search_for_the_trigger_has_little_to_do_and_clean_trainings_stay_clean() -> None:
    made = small(
        defender={"inversion": "mine"},
        inversions={"mine": {"inversion": "universal-noise", "images": 900, "parameters": {"norm": 0.1}}},
        poison={"rate": 0.1},
        attacks={
            "badnets": {"trigger": "badnets", "target": "red circle"},
            "none": {"trigger": "badnets", "target": "red circle", "poison": {"rate": 0}},
        },
        search={"axes": {"attack": ["badnets", "none"]}},
    )
    entry = inversion_of(made, "mine")
    assert (entry.inversion, entry.images, entry.parameters["norm"], entry.parameters["steps"]) == (
        "universal-noise", 32, 0.1, 1,
    )  # fmt: skip
    assert (made.attacks["none"].poison.rate, made.attacks["none"].poison.count) == (0, None)
    assert small().inversions == {}


def test_resources_are_no_more_than_a_machine_has() -> None:
    wanted = Resources(
        training_cpus=8, trial_cpus=4, gpus=1, training_gpus=2, training_workers=4, readers=6, max_cpus=64
    )
    found = fitting(wanted, cpus=2, gpus=0)
    assert (found.training_cpus, found.trial_cpus, found.gpus, found.training_gpus) == (2, 2, 0, 0)
    assert (found.training_workers, found.readers, found.max_cpus) == (1, 1, None)
    large = fitting(wanted, cpus=32, gpus=4)
    assert (large.training_cpus, large.training_workers, large.gpus, large.training_gpus) == (8, 4, 1, 1)


@pytest.mark.parametrize("name", INVERTERS)
def test_a_search_for_the_trigger_is_cut_too(name: str) -> None:
    made = small(defender__inversion="mine", inversions={"mine": {"inversion": name, "images": 500}})
    search, whole = build_inverter(name, made.inversions["mine"].parameters), build_inverter(name, {})
    assert made.inversions["mine"].images == 32
    assert search.passes(32, 10) is None or search.passes(32, 10) <= 500  # type: ignore[operator]
    assert {f: v for f, v in search if f not in WORK} == {f: v for f, v in whole if f not in WORK}
