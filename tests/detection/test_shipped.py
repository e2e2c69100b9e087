"""The calibration that comes with the package."""

from __future__ import annotations

from collections import Counter

import pytest

from tbar_ray.detection.calibration import load_calibration
from tbar_ray.detection.fitting import calibrate
from tbar_ray.detection.searches import DEFAULT

SHIPPED = load_calibration()
ARCHITECTURES = {"tbar-GN-pico", "tbar-ViT-pico"}


def test_it_knows_the_searches_of_a_scan_with_parameters_that_this_version_has() -> None:
    assert set(SHIPPED.searches) == set(DEFAULT)
    assert [search.name for search in SHIPPED.build(DEFAULT)] == list(DEFAULT)


def test_its_models_are_of_many_attacks_and_targets_and_of_several_kinds_of_clean_training() -> None:
    attacks = Counter(each.kind for each in SHIPPED.references if each.infected)
    assert len(attacks) == 16
    assert min(attacks.values()) >= 7
    assert SHIPPED.count(infected=True) == attacks.total() >= 120
    assert SHIPPED.count(infected=False) >= 60
    for state in (False, True):
        assert {each.architecture for each in SHIPPED.references if each.infected == state} == ARCHITECTURES
    assert len({each.target for each in SHIPPED.references if each.infected}) == 8
    clean = Counter(each.kind for each in SHIPPED.references if not each.infected)
    assert set(clean) == {"fine-tuned", "noisy labels 0.1", "noisy labels 0.3", "other data"}
    assert SHIPPED.provenance.source == "campaign zoo (jobs/zoo.yaml)"
    assert SHIPPED.provenance.digest


def test_its_weights_and_rates_follow_from_its_own_table() -> None:
    made = calibrate(SHIPPED.references, SHIPPED.provenance.source, SHIPPED.provenance.versions)
    assert len(made.combinations) == len(SHIPPED.combinations) == 3
    for found, shipped in zip(made.combinations, SHIPPED.combinations, strict=True):
        assert found.searches == shipped.searches
        assert found.alarm == pytest.approx(shipped.alarm, abs=1e-4)
        assert found.measured.auroc == pytest.approx(shipped.measured.auroc, abs=1e-4)
        assert found.measured.caught == shipped.measured.caught


def test_both_searches_together_tell_unseen_attacks_from_clean_models() -> None:
    both = SHIPPED.combination(DEFAULT)
    assert both is not None
    assert both.measured.auroc >= 0.98
    assert min(both.measured.by_attack.values()) >= 0.93
    assert both.measured.cross_entropy <= 0.17
    assert both.measured.caught.rate.value >= 0.9
    assert both.measured.false_alarms.rate.value <= 0.02
