from __future__ import annotations

import pytest

from tbar_ray.store.store import Store
from tests.specs import spec
from tests.stages.cleaned import WANTED
from tests.stages.computing import compute_trial


@pytest.fixture(scope="session")
def cleaned(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """A store in which the trial of `WANTED` has ended."""
    made = Store(str(tmp_path_factory.mktemp("cleaned")))
    compute_trial(spec(**WANTED), {}, made)
    return made
