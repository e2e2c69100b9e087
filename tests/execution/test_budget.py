from __future__ import annotations

import time

import pytest

from tbar_ray.errors import SpecError
from tbar_ray.execution.budget import Budget, Spending
from tbar_ray.execution.calls import StageCall
from tbar_ray.planning.rates import Rates
from tbar_ray.stages.node import Policy


def call(name: str, kind: str = "vector", work: int = 100, cpus: int = 2, **policy: float) -> StageCall:
    return StageCall(name, f"{kind}-{name}", name, b"", (), cpus, Policy(**policy), work=work)  # type: ignore[arg-type]


def spending(text: str, **seconds_per_image: float) -> Spending:
    measured = Rates()
    for kind, seconds in seconds_per_image.items():
        measured.learn(kind, 1, seconds)
        measured.learn(kind, 0, seconds)
    return Spending(Budget.parse(text), time.time(), measured)


@pytest.mark.parametrize(
    ("text", "hours", "unit"), [("20gpuh", 20, "GPU"), (" 1.5 CPUh", 1.5, "CPU"), (".25gpuH", 0.25, "GPU")]
)
def test_hours_of_either_kind(text: str, hours: float, unit: str) -> None:
    found = Budget.parse(text)
    assert (found.hours, found.unit) == (hours, unit)
    assert str(found) == f"{hours:g} {unit}-hours"


@pytest.mark.parametrize("text", ["20", "20h", "gpuh", "0gpuh", "-1cpuh", "20 tpuh", "1e3cpuh", ""])
def test_anything_else_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(SpecError, match="give hours of GPUs or CPUs above 0, for example 20gpuh or 300cpuh"):
        Budget.parse(text)


def test_a_stage_is_expected_to_take_what_its_kind_took() -> None:
    account = spending("1cpuh", vector=3.6)
    assert account.expected(call("a")) == pytest.approx(0.2), "100 images of 3.6 s on two CPUs"
    assert account.expected(call("a", work=0)) == pytest.approx(0.002), "a stage that tells no images counts as one"
    assert account.expected(call("a", kind="path")) == 0, "never measured"
    account.begin(call("a"))
    account.end(call("a"), 1800)
    assert account.spent == pytest.approx(1.0)
    assert account.expected(call("b", work=10)) == pytest.approx(0.1), "this launch's own stages tell more"


def test_the_stage_that_would_go_past_it_is_refused_and_a_smaller_one_is_not() -> None:
    account = spending("1cpuh", vector=3.6)
    first, second = call("first", work=300), call("second", work=250)
    assert account.refuses(first) is None
    account.begin(first)
    assert account.committed() == pytest.approx(0.6)
    assert account.refuses(second) == (
        "second would go past the budget of 1 CPU-hours: 0.6 are spent or promised, and it takes about 0.5"
    )
    assert account.refuses(call("small", work=190)) is None
    account.end(first, None)
    assert account.committed() == 0, "it did not run"
    assert account.refuses(second) is None


def test_gpu_hours_are_shares_of_all_workers_and_cpu_stages_take_none() -> None:
    account = spending("1gpuh", vector=36)
    assert account.expected(call("a", gpus=0.25)) == pytest.approx(0.25)
    assert account.expected(call("a", gpus=0.5, training_workers=4)) == pytest.approx(2)
    assert spending("1cpuh", vector=36).expected(call("a", training_workers=4)) == pytest.approx(8), "two CPUs each"
    account.begin(call("a", gpus=1))
    account.end(call("a", gpus=1), 3600)
    assert account.refuses(call("b", gpus=0.25, kind="path")) is not None, "used up"
    assert account.refuses(call("c")) is None


def test_a_stage_that_takes_longer_than_expected_counts_as_long_as_it_has_run(monkeypatch: pytest.MonkeyPatch) -> None:
    account = spending("1cpuh", vector=0.0036)
    account.begin(call("a"))
    now = time.time()
    monkeypatch.setattr("time.time", lambda: now + 900)
    assert account.committed() == pytest.approx(0.5, rel=1e-3)


def test_a_restarted_coordinator_finds_what_this_launch_has_paid() -> None:
    account = Spending(Budget.parse("1cpuh"), since=1000.0)
    account.found(call("before"), 999.0, 1800)
    assert account.spent == 0
    account.found(call("own"), 1001.0, 1800)
    assert account.spent == pytest.approx(1.0)
