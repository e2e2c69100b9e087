"""Running several searches on one model."""

from __future__ import annotations

from typing import ClassVar

import pytest
import torch

from tbar_ray.detection.searches import applicable, most_telling, search_all
from tbar_ray.errors import DataError
from tbar_ray.inversion.base import Inversion, Inverter, Progress, silent
from tbar_ray.inversion.subject import Subject
from tbar_ray.triggers.proxy import Proxy
from tests.inversion.encoders import CORNER, SIDE, TARGET, images, subject


class Corner(Inverter):
    """Finds the patch that the planted backdoor looks at."""

    name: ClassVar[str] = "corner"
    needs_classes: ClassVar[bool] = False
    measures: ClassVar[str] = "nothing"

    def invert(self, subject: Subject, seed: int, progress: Progress = silent) -> Inversion:  # noqa: ARG002
        added = torch.zeros(3, SIDE, SIDE)
        added[:, CORNER, CORNER] = 1
        progress(1, 5, 0.5)
        return Inversion(Proxy.of(added=added), 2.0, steps=2)


class Nothing(Inverter):
    """Does not converge."""

    name: ClassVar[str] = "nothing"
    needs_classes: ClassVar[bool] = True
    measures: ClassVar[str] = "nothing"

    def invert(self, subject: Subject, seed: int, progress: Progress = silent) -> Inversion:  # noqa: ARG002
        return Inversion(None, None, steps=4)


class Faint(Corner):
    """Finds a change that leads nowhere."""

    name: ClassVar[str] = "faint"

    def invert(self, subject: Subject, seed: int, progress: Progress = silent) -> Inversion:  # noqa: ARG002
        return Inversion(Proxy.of(added=torch.zeros(3, SIDE, SIDE)), 9.0)


def test_each_search_gives_a_score_and_the_class_that_its_trigger_leads_to() -> None:
    told: list[tuple[str, int, int]] = []
    found = search_all(subject(8), (Nothing(), Corner()), 0, tell=lambda *words: told.append(words))
    assert list(found) == ["nothing", "corner"]
    assert (found["nothing"].inversion.score, found["nothing"].target) == (None, None)
    target = found["corner"].target
    assert target is not None
    assert target.target == TARGET
    assert told == [("nothing", 4, 4), ("corner", 1, 5), ("corner", 2, 2)]


def test_triggers_are_judged_on_other_images_where_there_are_some() -> None:
    model = subject(8)
    judged = Subject(model.model, model.preprocessing, images(48), model.head, model.names)
    (found,) = search_all(model, [Corner()], 0, judged).values()
    assert found.target is not None
    assert found.target.rate.n <= 48


def test_without_classes_only_some_searches_run_and_no_target_is_named() -> None:
    chosen = applicable((Nothing(), Corner()), classes=False)
    assert [search.name for search in chosen] == ["corner"]
    assert len(applicable((Nothing(), Corner()), classes=True)) == 2
    found = search_all(subject(8, head=False), chosen, 0)
    assert found["corner"].target is None
    assert most_telling(found) == "corner"


def test_the_trigger_that_leads_most_images_to_its_class_is_worked_with() -> None:
    found = search_all(subject(8), (Nothing(), Faint(), Corner()), 0)
    assert most_telling(found) == "corner"
    assert most_telling({name: found[name] for name in ("nothing", "faint")}) == "faint"
    assert most_telling({"nothing": found["nothing"]}) is None


def test_a_search_that_needs_classes_refuses_a_model_without() -> None:
    from tbar_ray.inversion.universal_noise import UniversalNoise

    with pytest.raises(DataError, match="this search needs class embeddings"):
        search_all(subject(8, head=False), [UniversalNoise()], 0)
