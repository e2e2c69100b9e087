"""The recipes of docs/extending.md work as they stand."""

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
import torch

from tbar_ray.models.task_vector import TaskVector
from tbar_ray.stages.node import Stage
from tbar_ray.triggers.base import Trigger
from tbar_ray.unlearning.base import Unlearner
from tbar_ray.unlearning.edit import Edit

PAGE = Path(__file__).parents[1] / "docs" / "extending.md"


@pytest.fixture(scope="module")
def recipes() -> Iterator[dict[str, ModuleType]]:
    """Yield the files that the page writes down, imported in its order, by their module's name."""
    made: dict[str, ModuleType] = {}
    blocks = re.findall(r"```python\n# (\S+)\.py\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)
    try:
        for path, code in blocks:
            name = path.replace("/", ".")
            assert name not in sys.modules
            module = sys.modules[name] = made[name] = ModuleType(name)
            exec(compile(code, f"{path}.py", "exec"), module.__dict__)
        yield made
    finally:
        for name in made:
            del sys.modules[name]


def test_the_trigger_passes_its_own_golden_test(recipes: dict[str, ModuleType]) -> None:
    assert issubclass(recipes["tbar_ray.triggers.inverted"].Inverted, Trigger)
    recipes["tests.triggers.test_inverted"].test_every_level_is_the_rounded_mix()


def test_the_method_can_be_built_with_its_defaults(recipes: dict[str, ModuleType]) -> None:
    shrinking = recipes["tbar_ray.unlearning.methods.shrinking"].Shrinking
    assert issubclass(shrinking, Unlearner)
    assert shrinking().weight_decay == 10.0


def test_the_stage_writes_the_norms_of_a_vector(recipes: dict[str, ModuleType], tmp_path: Path) -> None:
    norms = recipes["tbar_ray.stages.norms"]
    assert issubclass(norms.VectorNorms, Stage)
    inputs, out = tmp_path / "unlearn", tmp_path / "out"
    inputs.mkdir()
    out.mkdir()
    Edit(TaskVector({"w": torch.tensor([3.0, 4.0])}, ())).save(inputs)
    stage = norms.VectorNorms.model_construct(unlearn=SimpleNamespace(artifact="unlearn"))
    stage.run(SimpleNamespace(store=SimpleNamespace(fetch=tmp_path.joinpath), out=out))
    assert json.loads((out / norms.NORMS).read_text()) == {"w": 5.0}
