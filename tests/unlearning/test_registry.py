import pytest

from tbar_ray.errors import SpecError
from tbar_ray.unlearning.base import Unlearner
from tbar_ray.unlearning.methods.tbar import TBAR
from tbar_ray.unlearning.registry import UNLEARNERS, build_unlearner


def test_the_registry_names_each_method_as_it_names_itself() -> None:
    assert UNLEARNERS["tbar"] is TBAR
    assert all(issubclass(kind, Unlearner) and kind.name == name for name, kind in UNLEARNERS.items())
    assert TBAR.needs == {"trigger", "target", "forget set"}


def test_parameters_reach_the_method() -> None:
    method = build_unlearner("tbar", {"steps": 3, "objective": "contrastive"})
    assert method == TBAR(steps=3, objective="contrastive")
    assert hash(method) == hash(TBAR(steps=3, objective="contrastive"))


@pytest.mark.parametrize(
    ("name", "parameters", "message"),
    [
        ("tbra", {}, r"unknown unlearning method 'tbra'; did you mean 'tbar'\?"),
        ("xyz", {}, "unknown unlearning method 'xyz'; known: abl"),
        ("tbar", {"step": 3}, r"'tbar': step: .*; did you mean 'steps'"),
        ("tbar", {"steps": 0}, "'tbar': steps: .*greater than or equal to 1"),
        ("tbar", {"objective": "mse"}, "'tbar': objective: .*'classification' or 'contrastive'"),
        ("tbar-tangent", {"objective": "contrastive"}, "'tbar-tangent': objective: .*'classification'"),
        ("tbar-tangent", {"freeze_batch_norm": False}, "'tbar-tangent': freeze_batch_norm: "),
        ("tbar-anchored", {"objective": "contrastive"}, "'tbar-anchored': objective: .*'classification'"),
        ("tbar", {"learning_rate": -1}, "'tbar': learning_rate: .*greater than 0"),
    ],
)
def test_bad_names_and_parameters_are_one_line(name: str, parameters: dict[str, object], message: str) -> None:
    with pytest.raises(SpecError, match=message) as caught:
        build_unlearner(name, parameters)
    assert "\n" not in str(caught.value)
