from __future__ import annotations

import pytest

from tbar_ray.report.figures.style import attack_look
from tbar_ray.report.scatter import HEIGHT, LEFT, RIGHT, STRIP, WIDTH, across, result_map
from tests.records.records import failed, record, scores


def test_every_trial_with_scores_is_a_point_that_tells_them() -> None:
    first, second = record(removed=scores(0.8, 0.003, 0.5)), record("sig", status="infeasible")
    found = result_map([first, second, failed("gone")])
    assert found is not None
    assert len(found.points) == 2
    assert "test split: ASR 0.3%, CA 80.0% (done)" in found.points[0].hint
    assert [point.hollow for point in found.points] == [False, True]
    assert [name for name, _ in found.keys] == ["badnets", "sig"]
    assert all(0 <= point.y <= HEIGHT and LEFT <= point.x <= WIDTH for point in found.points)
    assert result_map([failed()]) is None


def test_equal_results_do_not_hide_one_another() -> None:
    found = result_map([record(seed=seed, removed=scores(0.8, 0.0, 0.5)) for seed in range(12)])
    assert found is not None
    places = [point.x for point in found.points]
    assert places == sorted(set(places), reverse=True)
    assert places[0] == LEFT + STRIP
    assert places[0] - places[1] > 6
    assert places[-1] > LEFT
    assert len({point.y for point in found.points}) == 1


def test_attacks_beyond_the_palette_have_another_shape_and_each_has_the_mark_that_figures_give_it() -> None:
    names = [f"attack-{number:02}" for number in range(23)]
    found = result_map([*(record(name, removed=scores(0.8, 0.1, 0.5)) for name in names), failed("attack-00a")])
    assert found is not None
    assert [name for name, _ in found.keys] == names
    assert [point.look for point in found.points] == [look for _, look in found.keys]
    assert len({look for _, look in found.keys}) == 23
    assert [look.colour for _, look in found.keys] == [
        attack_look(name, [*names, "attack-00a"])["color"] for name in names
    ]


def test_small_values_have_room_of_their_own() -> None:
    places = [across(asr) for asr in (0.0, 0.005, 0.01, 0.1, 1.0)]
    assert places == sorted(places)
    assert (places[0], places[-1]) == (LEFT + STRIP, WIDTH - RIGHT)
    assert places[2] - places[1] == pytest.approx(places[1] - places[0], abs=0.2)
    assert places[4] - places[3] == pytest.approx(places[3] - places[2], abs=0.2)
