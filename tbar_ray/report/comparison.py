"""Two campaigns side by side: what differs in spec, code and data, and the differences of their results."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tbar_ray.dotted import is_set, leaves
from tbar_ray.planning.axes import Setting, factors_of
from tbar_ray.records.cells import names_of, one_per_cell, preference, varying
from tbar_ray.records.record import TrialRecord
from tbar_ray.records.stored import StoredCampaign
from tbar_ray.report.predictions import compared, read_predictions

if TYPE_CHECKING:
    from tbar_ray.evaluation.paired import PairedComparison

METRICS = ("asr", "ca")
DATA = ("corpus", "evaluation", "retrieval", "validation_fraction", "max_images", "split_seed")
"""Parts of stages' identities that are data, or how these are cut."""
UNTOLD = ("name", "description")
"""Fields of a spec in which campaigns may differ without a difference."""


@dataclass(frozen=True)
class Difference:
    """What differs: its name, and its values in both campaigns; None where one has none."""

    what: str
    first: str | None
    second: str | None


@dataclass(frozen=True)
class TrialPair:
    """Trials of both campaigns with the same settings.

    Attributes:
        name: what tells them from other pairs.
        first, second: the trials.
        same: whether they are the same computation, by its fingerprint.
        tests: paired tests on the same test images, by score; none where images differ or answers are not kept.
    """

    name: str
    first: TrialRecord
    second: TrialRecord
    same: bool
    tests: Mapping[str, PairedComparison]

    def change(self, metric: str) -> float | None:
        """The second's test score less the first's; None where one is unknown."""
        one, two = self.first.value(metric), self.second.value(metric)
        return None if one is None or two is None else two - one


@dataclass(frozen=True)
class Comparison:
    """The comparison of two campaigns; `only_first` and `only_second` have no trial of the same settings."""

    spec: tuple[Difference, ...]
    code: tuple[Difference, ...]
    data: tuple[Difference, ...]
    pairs: tuple[TrialPair, ...]
    only_first: tuple[TrialRecord, ...]
    only_second: tuple[TrialRecord, ...]


def compare_campaigns(first: StoredCampaign, second: StoredCampaign) -> Comparison:
    """Compare two campaigns. Of trials that differ in α alone, the best on validation counts.

    Raises:
        StoreError: if predictions that are in the store cannot be read.
    """
    pairs, only_first, only_second = _paired(first, second)
    return Comparison(
        tuple(_between(_values(first.spec), _values(second.spec))),
        tuple(_between(_code(first), _code(second))),
        tuple(_between(_data(first), _data(second))),
        tuple(pairs),
        tuple(only_first),
        tuple(only_second),
    )


def _paired(
    first: StoredCampaign, second: StoredCampaign
) -> tuple[list[TrialPair], list[TrialRecord], list[TrialRecord]]:
    ours, theirs = one_per_cell(first.records), one_per_cell(second.records)
    shared = [name for name in names_of(ours) if name in names_of(theirs)]
    left, right = _by_settings(ours, shared), _by_settings(theirs, shared)
    told = [f for f in factors_of(shared).values() if f.name in _names([*ours, *theirs])]
    pairs = []
    for key, record in left.items():
        if (other := right.get(key)) is None:
            continue
        name = ", ".join([record.attack, *(f.told(record.setting(f.name)) for f in told if f.name != "attack")])
        same = record.fingerprint == other.fingerprint
        tests = {} if same else _tests(first, second, record, other)
        pairs.append(TrialPair(name, record, other, same, tests))
    only_first = [record for key, record in left.items() if key not in right]
    return pairs, only_first, [record for key, record in right.items() if key not in left]


def _by_settings(records: Sequence[TrialRecord], names: Sequence[str]) -> dict[tuple[Setting, ...], TrialRecord]:
    """The best record on validation of each combination of values."""
    found: dict[tuple[Setting, ...], TrialRecord] = {}
    for record in sorted(records, key=preference):
        found.setdefault(tuple(record.setting(name) for name in names), record)
    return {key: found[key] for key in dict.fromkeys(tuple(r.setting(name) for name in names) for r in records)}


def _names(records: Sequence[TrialRecord]) -> set[str]:
    """Axes that tell trials of an attack apart in either campaign."""
    return {factor.name for factor in varying(records)}


def _tests(
    first: StoredCampaign, second: StoredCampaign, one: TrialRecord, two: TrialRecord
) -> dict[str, PairedComparison]:
    """Paired tests, second against first; none where the test images are not known to be the same."""
    images = first.test_images(one)
    if images is None or images != second.test_images(two):
        return {}
    return compared(read_predictions(two.path_artifact, second.store), read_predictions(one.path_artifact, first.store))


def _code(campaign: StoredCampaign) -> dict[str, str]:
    """Code of the launches, and versions of the stages by kind."""
    told: dict[str, set[str]] = {}
    for launch in campaign.launches:
        told.setdefault("launched with", set()).add(launch.code)
    for identity in campaign.identities():
        told.setdefault(f"version of stage {identity.get('kind')}", set()).add(str(identity.get("version", "–")))
    return {name: ", ".join(sorted(values)) for name, values in told.items()}


def _data(campaign: StoredCampaign) -> dict[str, str]:
    """Fingerprints of data, and how they are cut, of all stages."""
    told: dict[str, set[str]] = {}
    for identity in campaign.identities():
        for name in DATA:
            if (value := identity.get(name)) is not None:
                told.setdefault(name.replace("_", " "), set()).add(str(value))
    return {name: ", ".join(sorted(values)) for name, values in told.items()}


def _values(spec: Mapping[str, Any]) -> dict[str, str]:
    """What of a spec is compared and set, by its paths."""
    told = {name: value for name, value in spec.items() if name not in UNTOLD}
    return {path: str(value) for path, value in leaves(told) if is_set(value)}


def _between(first: Mapping[str, str], second: Mapping[str, str]) -> Iterator[Difference]:
    for name in dict.fromkeys([*first, *second]):
        if first.get(name) != second.get(name):
            yield Difference(name, first.get(name), second.get(name))
