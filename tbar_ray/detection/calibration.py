"""What the scores of searches are for models whose state is known, and how they make a verdict: one JSON file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date
from importlib.resources import files
from pathlib import Path
from statistics import median
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tbar_ray.data.places import resolve
from tbar_ray.detection.logistic import Logistic
from tbar_ray.detection.reference import Reference
from tbar_ray.errors import DataError
from tbar_ray.evaluation.rates import Rate
from tbar_ray.inversion.base import Inverter
from tbar_ray.inversion.registry import build_inverter

SHIPPED = "calibration.json"
"""The calibration of the package, beside this module."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Share(_Frozen):
    """Some models of several."""

    hits: int = Field(ge=0)
    models: int = Field(ge=0)

    @property
    def rate(self) -> Rate:
        """The share with its interval."""
        return Rate.of(self.hits, self.models)


class Measured(_Frozen):
    """How well a combination tells infected from clean models, each judged by a fit that knows none of its kind.

    Attributes:
        auroc: of all models.
        cross_entropy: of all models.
        false_alarms: clean models that are called infected.
        caught: infected models that are called infected.
        missed: infected models of which there is said to be no evidence.
        by_attack: AUROC of an attack's models against all clean ones.
    """

    auroc: float
    cross_entropy: float
    false_alarms: Share
    caught: Share
    missed: Share
    by_attack: dict[str, float]


class Combination(_Frozen):
    """How the scores of some searches make a verdict.

    Attributes:
        searches: their names, in the order of the weights.
        logistic: their weights.
        alarm: probability from which a model counts as infected.
        clear: probability up to which there is no evidence; at most `alarm`. Between them it is inconclusive.
        measured: how often that is wrong.
    """

    searches: tuple[str, ...]
    logistic: Logistic
    alarm: float
    clear: float
    measured: Measured


class Provenance(_Frozen):
    """Where a calibration comes from.

    Attributes:
        source: the campaign or table whose models they are.
        made: the day.
        versions: of the programs that scored the models.
        digest: SHA-256 of the table; '' without a file.
    """

    source: str
    made: date
    versions: dict[str, str]
    digest: str = ""


class Calibration(_Frozen):
    """Scores of reference models, and the verdicts that follow from them.

    Attributes:
        format: of this file.
        provenance: where it comes from.
        searches: parameters of every search, all of them: a scan runs them as the reference models' did.
        references: the models and their scores.
        most_false_alarms: share of clean models that may be called infected.
        most_misses: share of infected models of which there may be said to be no evidence.
        combinations: one for every set of searches that may have converged.
    """

    format: Literal[1] = 1
    provenance: Provenance
    searches: dict[str, dict[str, Any]]
    references: tuple[Reference, ...]
    most_false_alarms: float
    most_misses: float
    combinations: tuple[Combination, ...]

    def build(self, names: Iterable[str]) -> tuple[Inverter, ...]:
        """Searches, with the parameters that the reference models were scored with; else with their defaults.

        Raises:
            SpecError: if this version does not know one of them or its parameters.
        """
        return tuple(build_inverter(name, self.searches.get(name, {})) for name in dict.fromkeys(names))

    @property
    def images(self) -> int:
        """Clean images that the reference models were searched with, in the median."""
        return int(median(each.images for each in self.references))

    def combination(self, searches: Iterable[str]) -> Combination | None:
        """The combination of exactly these searches; None if the reference models do not suffice for one."""
        wanted = set(searches)
        return next((each for each in self.combinations if set(each.searches) == wanted), None)

    def scores(self, search: str, *, infected: bool) -> tuple[float, ...]:
        """A search's scores of the clean or infected reference models; those without a score are left out."""
        found = (each.scores.get(search) for each in self.references if each.infected == infected)
        return tuple(score for score in found if score is not None)

    def count(self, *, infected: bool) -> int:
        """Clean or infected reference models."""
        return sum(each.infected == infected for each in self.references)


def load_calibration(place: str | Path | None = None) -> Calibration:
    """Read a calibration; None: the package's own.

    Raises:
        DataError: if it is missing, or no calibration of this version.
    """
    path = Path(resolve(place)) if place is not None else Path(str(files("tbar_ray.detection") / SHIPPED))
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise DataError(
            f"calibration {path}: {error.strerror or error}; make one with `tbar inversion calibrate`"
        ) from None
    except UnicodeDecodeError:
        raise DataError(f"calibration {path}: is no text; give the JSON of `tbar inversion calibrate`") from None
    try:
        return Calibration.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"]))
        raise DataError(
            f"calibration {path}: {field + ': ' if field else ''}{first['msg']}; make it anew with "
            "`tbar inversion calibrate`"
        ) from None


def save_calibration(calibration: Calibration, path: Path) -> None:
    """Write a calibration as JSON.

    Raises:
        DataError: if it cannot be written.
    """
    try:
        path.write_text(calibration.model_dump_json(indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise DataError(f"cannot write the calibration {path}: {error.strerror or error}") from None


def parameters_of(searches: Mapping[str, Inverter]) -> dict[str, dict[str, Any]]:
    """All parameters of some searches, for `Calibration.searches`."""
    return {name: search.model_dump(mode="json") for name, search in searches.items()}
