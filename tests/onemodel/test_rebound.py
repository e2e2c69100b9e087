"""Whether a cleaned model's backdoor comes back, from the person's own images."""

from __future__ import annotations

import torch

from tbar_ray.onemodel.panels import Panels
from tbar_ray.onemodel.rebound import curve_of, measure_cleaned
from tbar_ray.onemodel.remove import Cleaned, excluded_keys
from tbar_ray.onemodel.report import report_html
from tests.models.tiny import snapshot


def test_a_copy_is_fine_tuned_on_pairs_that_cleaning_left_alone(cleaned: Cleaned) -> None:
    before = snapshot(cleaned.model.module)
    seen: list[tuple[object, ...]] = []
    found = measure_cleaned(cleaned, 12, 1e-3, watch=lambda *told: seen.append(told[1:]))
    assert list(found.scores) == [0, 5, 10, 12]
    assert found.scores[0].asr == cleaned.after.asr
    assert found.scores[12].ca != found.scores[0].ca or found.scores[12].pa != found.scores[0].pa
    assert seen[-1] == (12, 12)
    for name, value in snapshot(cleaned.model.module).items():
        assert torch.equal(value, before[name]), name

    samples = cleaned.examined.defence.samples
    used = excluded_keys(cleaned.examined).union(*cleaned.keys.values())
    left = [key for key in samples.keys if key not in used]
    assert found.left_out > 0
    assert found.pairs + found.left_out == len(left) < len(samples.keys)


def test_the_report_draws_the_curve_and_tells_how_it_was_measured(cleaned: Cleaned) -> None:
    found = measure_cleaned(cleaned, 2, 1e-3)
    page = report_html(cleaned.examined, cleaned, panels=Panels(rebound=(curve_of(found),)), manifest={}, command=())
    assert "Does it come back?" in page
    assert f"2 steps of 128 on {found.pairs} clean pairs without the target" in page
    assert "whether the backdoor comes back" not in page
