"""Whether everything that a campaign needs is there, on this machine and on every node of a cluster."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

from tbar_ray.errors import TbarError, TrackingError, first_line
from tbar_ray.execution.health import Check, HostHealth, examine_host, examined
from tbar_ray.execution.ray_environment import prepare
from tbar_ray.spec.campaign import CampaignSpec
from tbar_ray.store.paths import sqlite_path
from tbar_ray.store.store import Store
from tbar_ray.tracking.places import check_database, check_experiment, check_server, signed_in

PATIENCE = 60.0
"""Seconds that a node has to answer."""
HERE = "here"


def examine(address: str, store: Store, tracking_uri: str, spec: CampaignSpec | None) -> list[Check]:
    """Look at everything that a campaign needs; nothing of it is changed, and nothing computed.

    Args:
        address: of a cluster, whose nodes are looked at; 'local' for this machine alone.
        store: where results go.
        tracking_uri: where MLflow records.
        spec: the campaign; None for what all campaigns need.
    """
    written = f"doctor-{uuid.uuid4().hex}.json"
    with suppress(TbarError):  # the check of the store says what is wrong
        store.write_json(written, {})
    try:
        here = examine_host(HERE, store, written, spec)
        checks = [*here.checks, examined("tracking", HERE, lambda: _tracking(tracking_uri, spec))]
        if address == "local":
            return [*checks, *_wanted_gpus(here, spec)]
        with ExitStack() as until_the_end:
            checks.extend(_cluster(address, store, written, spec, here, until_the_end))
        return checks
    finally:
        with suppress(Exception):
            store.remove(written)


def _tracking(uri: str, spec: CampaignSpec | None) -> str:
    uri = signed_in(uri)
    check_server(uri)
    path = sqlite_path(uri)
    if path is None or Path(path).exists():
        check_database(uri)
    else:
        folder = next(parent for parent in Path(path).absolute().parents if parent.exists())
        if not os.access(folder, os.W_OK):
            raise TrackingError(f"MLflow at {uri}: {folder} cannot be written; give another with --tracking-uri")
    if spec is not None:
        check_experiment(uri, spec.name)
    return f"{uri} answers" if path is None else f"{uri} can be written"


def _wanted_gpus(here: HostHealth, spec: CampaignSpec | None) -> Iterator[Check]:
    wanted = 0 if spec is None else max(spec.resources.gpus, spec.resources.training_gpus or 0)
    if wanted and not here.gpus:
        yield Check("resources", HERE, False, f"a stage takes {wanted:g} GPUs, and torch sees none here")


def _cluster(
    address: str, store: Store, written: str, spec: CampaignSpec | None, here: HostHealth, until_the_end: ExitStack
) -> Iterator[Check]:
    """Look at every node of a cluster, each in a task of its own."""
    prepare(address)
    import ray

    from tbar_ray.execution.cluster import joined
    from tbar_ray.execution.fitting import misfit, nodes

    try:
        where = until_the_end.enter_context(joined(address))
    except TbarError as error:
        yield Check("cluster", address, False, str(error))
        return
    alive = [node for node in ray.nodes() if node["Alive"]]
    yield Check("cluster", where, True, f"{len(alive)} nodes")
    if spec is not None and (line := misfit(spec.resources, nodes())) is not None:
        yield Check("resources", where, False, line)
    names = {_send(node, store, written, spec): _name(node) for node in alive}
    answered, _ = ray.wait(list(names), num_returns=len(names), timeout=PATIENCE)
    for task, name in names.items():
        if task not in answered:
            ray.cancel(task)
            yield Check("node", name, False, f"has not answered in {PATIENCE:.0f} s: it is busy, or lost")
            continue
        try:
            found: HostHealth = ray.get(task)
        except Exception as error:  # what Ray raises where the package is missing, or another
            yield Check("node", name, False, f"{type(error).__name__}: {first_line(error, 200)}")
            continue
        yield from found.checks
        yield from _differences(name, here, found)


def _send(node: dict[str, Any], store: Store, written: str, spec: CampaignSpec | None) -> Any:
    """Ask a node; where it has GPUs, with a small share of one, since Ray hides them from other tasks."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    there = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
    share = 0.01 if node["Resources"].get("GPU") else 0
    task = ray.remote(examine_host).options(num_cpus=0, num_gpus=share, max_retries=0, scheduling_strategy=there)
    return task.remote(_name(node), store, written, spec)


def _name(node: dict[str, Any]) -> str:
    """A node's address with the start of its id: several may be on one machine."""
    return f"{node['NodeManagerAddress']} ({node['NodeID'][:6]})"


def _differences(name: str, here: HostHealth, there: HostHealth) -> Iterator[Check]:
    names = sorted(here.versions.keys() | there.versions.keys())
    pairs = [(one, here.versions.get(one, "none"), there.versions.get(one, "none")) for one in names]
    if differing := [f"{one} {theirs} there, {mine} here" for one, mine, theirs in pairs if mine != theirs]:
        yield Check("packages", name, False, f"{'; '.join(differing)}; install the same versions on every node")
