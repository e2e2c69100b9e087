"""Columns of settings in tables: an axis each, or the parameters of several methods together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from tbar_ray.planning.axes import ALIASES, Factor, factors_of, method_parameter
from tbar_ray.records.cells import names_of, varying
from tbar_ray.records.record import TrialRecord
from tbar_ray.report.infected import is_parameter

ALWAYS = ("forget_size", "clean_fraction")
"""Settings that tables of results show even where they do not vary."""
JOINED = "unlearning.parameters"
"""Name of the column that joins parameters."""


@dataclass(frozen=True)
class Column:
    """A column of settings.

    Attributes:
        name: of the axis, or `JOINED`.
        label: its head in a report.
        head: its head in a terminal.
        text: its text for a record.
    """

    name: str
    label: str
    head: str
    text: Callable[[TrialRecord], str]


def columns_of(
    records: Sequence[TrialRecord], always: Sequence[str] = ALWAYS, without: Sequence[str] = ()
) -> list[Column]:
    """A column for each axis beside the attack that tells records apart, those of `always` first."""
    every = factors_of(names_of(records))
    shown = {factor.name for factor in varying(records)} | set(always)
    factors = [factor for name, factor in every.items() if name in shown and name not in ("attack", *without)]
    return joined(sorted(factors, key=lambda factor: factor.name not in always))  # stable


def joined(factors: Sequence[Factor]) -> list[Column]:
    """A column per axis, and one for parameters that belong to more than one method.

    There would be dozens of these where many methods are searched, and each trial fills those of its method alone.
    """
    several = any(factor.name == "method" for factor in factors)
    parameters = [f for f in factors if method_parameter(f.name) is not None or (several and f.name == "learning_rate")]
    owners = {_owner(factor.name) for factor in parameters}
    if len(parameters) < 2 or owners == {_owner(parameters[0].name)} != {""}:
        return [_column(factor) for factor in factors]
    return _with_parameters(factors, parameters)


def parameters_joined(factors: Sequence[Factor]) -> list[Column]:
    """A column per axis, and one for all parameters of methods but a learning rate on its own."""
    parameters = [factor for factor in factors if is_parameter(factor.name)]
    alone = [factor.name for factor in parameters] == ["learning_rate"]
    return _with_parameters(factors, [] if alone else parameters)


def _with_parameters(factors: Sequence[Factor], parameters: Sequence[Factor]) -> list[Column]:
    columns: list[Column] = []
    for factor in factors:
        if factor not in parameters:
            columns.append(_column(factor))
        elif factor == parameters[0]:
            columns.append(Column(JOINED, "parameters", "parameters", lambda record: _told(record, parameters)))
    return columns


def heads(columns: Iterable[Column]) -> list[str]:
    """Heads of columns in a report, where a terminal may have shorter ones."""
    return [column.label for column in columns]


def values(record: TrialRecord, columns: Iterable[Column]) -> list[str]:
    """A record's texts, one a column, in the order of `heads`."""
    return [column.text(record) for column in columns]


def _owner(name: str) -> str:
    """Method that a parameter is of, '' for one of all methods."""
    of = method_parameter(name)
    return of[0] if of is not None else ""


def _column(factor: Factor) -> Column:
    if factor.name == "source":
        return Column(factor.name, factor.label, factor.head, _source)
    head = _short(factor) if method_parameter(factor.name) is not None else factor.head
    return Column(factor.name, factor.label, head, lambda record: factor.form(record.setting(factor.name)))


def _source(record: TrialRecord) -> str:
    return record.source if record.transferred else f"{record.source} (own)"


def _short(factor: Factor) -> str:
    """Name of a parameter beside its method's."""
    of = method_parameter(factor.name)
    name = factor.name if of is None else of[1]
    return ALIASES[name].factor.head if name in ALIASES else factor.label if of is None else name.replace("_", " ")


def _told(record: TrialRecord, parameters: Iterable[Factor]) -> str:
    own = [f for f in parameters if record.settings.get(f.name) is not None]
    return ", ".join(f"{_short(f)} {f.form(record.setting(f.name))}" for f in own) or "–"
