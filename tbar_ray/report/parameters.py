"""The effective parameters of trials: what their methods ran with, whether the spec said so or a default did."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import JsonValue

from tbar_ray.planning.axes import method_parameter
from tbar_ray.records.names import run_name
from tbar_ray.records.record import TrialRecord
from tbar_ray.records.stored import identity_of
from tbar_ray.store.store import Store

Parameters = dict[str, JsonValue]


def effective_parameters(records: Sequence[TrialRecord], store: Store) -> dict[str, Parameters]:
    """Parameters of each trial's method by the trial's fingerprint; trials that the store does not tell are left out.

    They are part of what identifies the artifact of the edit, so that they are those that were used.

    Raises:
        StoreError: if the store cannot be read.
    """
    found: dict[str, Parameters] = {}
    for record in records:
        path = identity_of(store, record.path_artifact)
        unlearn = None if path is None else identity_of(store, f"vector-{path.get('unlearn')}")
        own = None if unlearn is None else unlearn.get("parameters")
        if isinstance(own, dict):
            found[record.fingerprint] = own
    return found


def filled(record: TrialRecord, parameters: Parameters | None, names: Sequence[str]) -> Parameters:
    """A trial's values of axes that are parameters of its method and that the trial did not set.

    Args:
        record: the trial.
        parameters: of its method, as it ran; None where they are unknown.
        names: of the axes, as columns of results.
    """
    values: Parameters = {}
    for name in names if parameters is not None else ():
        assert parameters is not None
        if record.settings.get(name) is not None:
            continue
        method, parameter = method_parameter(name) or (record.method, name)
        if method == record.method and parameter in parameters:
            values[name] = parameters[parameter]
    return values


def told(record: TrialRecord, parameters: Parameters | None) -> str:
    """Trial and parameters in words, for a page."""
    if not parameters:
        return run_name(record)
    return f"{run_name(record)}: " + ", ".join(
        f"{name.replace('_', ' ')} {value}" for name, value in parameters.items()
    )
