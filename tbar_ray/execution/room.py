"""Whether a running cluster has room for a campaign."""

from __future__ import annotations

from tbar_ray.execution.ray_environment import prepare
from tbar_ray.spec.campaign import Resources


def misfit_at(address: str, resources: Resources) -> str | None:
    """One line on what no node of a cluster can hold, as it is now; None if they can hold all stages.

    Args:
        address: of the Ray cluster: auto or HOST:PORT.
        resources: of the campaign.

    Raises:
        SpecError: if the cluster cannot be reached.
    """
    prepare(address)
    from tbar_ray.execution.cluster import joined
    from tbar_ray.execution.fitting import misfit, nodes

    with joined(address):
        return misfit(resources, nodes())
