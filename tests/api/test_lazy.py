"""`import tbar_ray` loads nothing heavy, and the API needs neither Ray, MLflow nor Optuna."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import tbar_ray

HEAVY = ("torch", "numpy", "open_clip", "pydantic", "ray", "mlflow", "optuna")


def loaded_after(code: str) -> set[str]:
    """Run code in a fresh interpreter and return the top-level modules that it loaded."""
    script = f"{code}\nimport sys\nprint(sorted({{name.split('.')[0] for name in sys.modules}}))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(ast.literal_eval(done.stdout.strip().splitlines()[-1]))


def test_the_import_loads_nothing_heavy() -> None:
    assert not loaded_after("import tbar_ray").intersection(HEAVY)


def test_using_every_name_loads_no_campaign() -> None:
    loaded = loaded_after("from tbar_ray import *")
    assert "torch" in loaded
    assert not loaded.intersection({"ray", "mlflow", "optuna"})


def test_every_public_name_is_there_and_documented() -> None:
    assert set(tbar_ray.__all__) == set(tbar_ray._HOMES)
    assert set(tbar_ray.__all__) <= set(dir(tbar_ray))
    for name in tbar_ray.__all__:
        assert (getattr(tbar_ray, name).__doc__ or "").strip(), name


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'estimat'"):
        _ = tbar_ray.estimat


def test_type_checkers_find_the_types() -> None:
    assert Path(tbar_ray.__file__).with_name("py.typed").is_file()


def test_no_public_name_is_that_of_a_room() -> None:
    # importing tbar_ray.NAME would put the module in the name's place
    rooms = {path.stem for path in Path(tbar_ray.__file__).parent.iterdir()}
    assert not rooms.intersection(tbar_ray.__all__)
