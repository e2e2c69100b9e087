"""What a disentanglement map says of a model, followed along pretraining: the measures, by name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from tbar_ray.records.measures import DisentanglementRecord, GeometryRecord
from tbar_ray.records.record import TrialRecord

Read = Callable[[DisentanglementRecord], float | None]


def _of_geometry(read: Callable[[GeometryRecord], float | None]) -> Read:
    return lambda found: None if found.geometry is None else read(found.geometry)


MEASURES: Mapping[str, Read] = {
    "ξ(1, 1)": lambda found: found.at_planted,
    "ξ(1, −α)": lambda found: found.at_negated,
    "ξ at equal length": lambda found: found.at_equal_length,
    "cos(τ_t, τ_y)": _of_geometry(lambda found: found.cosine_towards_target),
    "‖τ_t‖ / ‖θ‖": _of_geometry(lambda found: found.relative_length),
    "gradient overlap": _of_geometry(lambda found: found.gradient_overlap),
}
"""In the order of tables and figures; None where a map lacks the measure."""
SIGNED = frozenset({"cos(τ_t, τ_y)", "gradient overlap"})
"""Those whose sign means something."""


def values_of(records: Iterable[TrialRecord], read: Read) -> list[float]:
    """The measure of every trial that has it."""
    found = (read(record.disentanglement) for record in records if record.disentanglement is not None)
    return [value for value in found if value is not None]
