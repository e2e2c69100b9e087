"""Trials on a cluster of one node, and of two, of one CPU each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from tbar_ray.bench.campaign import launch_bench, many_trials
from tbar_ray.bench.measure import Figure
from tbar_ray.records.ledger import Ledger
from tbar_ray.store.store import Store

TRIALS = 24
"""Trials of a run, of which the first `WARM` are not measured: processes start then."""
WARM = 8
IN_FLIGHT = 4
"""Trials in flight: more than nodes, so that none waits for its next stage."""
STEPS, IMAGES = 60, 1200
ALPHAS = tuple(number / 10 for number in range(11))
"""Enough work that a trial takes seconds of its core: what driver and Ray take of the same cores weighs little."""


def nodes_benchmark(folder: Path, repeats: int) -> Figure:
    """Trials per second on two nodes over those on one, which has as many trials in flight as it can use.

    Both are processes of this machine; the head has no CPUs, so that stages run on the other nodes alone.
    """
    folder.mkdir(parents=True, exist_ok=True)
    ratios = []
    for _ in range(repeats):
        one, two = (_rate(folder, nodes) for nodes in (1, 2))
        ratios.append(two / one)
    work = f"trials per second of {TRIALS} on one core each: two nodes of one CPU over one; median of {repeats}"
    return Figure("second node", work, median(ratios), "", 1.7, upper=False)


def rate_of(ends: Sequence[float], warm: int = WARM) -> float:
    """Trials per second after the first ones, from when trials ended."""
    ends = sorted(ends)
    return (len(ends) - warm) / (ends[-1] - ends[warm - 1])


def _rate(folder: Path, nodes: int) -> float:
    """Trials per second on so many nodes; the models are computed beforehand.

    Every run has a folder of its own: MLflow remembers databases by their paths.
    """
    with TemporaryDirectory(dir=folder) as made:
        place = Path(made)
        store, spec = Store(str(place / "store")), many_trials(1 + TRIALS, STEPS, IMAGES, ALPHAS, IN_FLIGHT)
        with _cluster(nodes):
            launch_bench(many_trials(1, STEPS, IMAGES, ALPHAS), store, place)
            found = launch_bench(spec, store, place)
        assert not found.failed, [record.reason for record in found.records][:3]
        records = Path(store.url) / Ledger(store, spec).folder / "trials"
        ended = sorted(file.stat().st_mtime for file in records.iterdir())
    return rate_of(ended[1:])  # the first was in the store


@contextmanager
def _cluster(nodes: int) -> Iterator[None]:
    """Join a cluster on loopback addresses: a head without CPUs, and nodes of one each."""
    import ray
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "node_ip_address": "127.0.0.2"})
    try:
        for place in range(nodes):
            cluster.add_node(num_cpus=1, node_ip_address=f"127.0.0.{3 + place}")
        ray.init(address=cluster.address, log_to_driver=False, logging_level="ERROR")
        yield
    finally:
        ray.shutdown()
        cluster.shutdown()
