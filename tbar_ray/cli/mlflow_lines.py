"""What `tbar campaign run` says at its end of where MLflow has it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

from tbar_ray.redaction import redact

if TYPE_CHECKING:
    from tbar_ray.spec.campaign import CampaignSpec


def where_mlflow_is(uri: str, campaign: CampaignSpec, experiment: str) -> Iterator[str]:
    """Yield lines on where MLflow has recorded a campaign; of a server, its pages."""
    from tbar_ray.planning.planner import campaign_fingerprint
    from tbar_ray.tracking.links import pages_of
    from tbar_ray.tracking.places import is_server

    where = f"  MLflow    {redact(uri)}  (experiment {campaign.name}"
    if not experiment:
        yield f"{where})"
        return
    yield f"{where})" if is_server(uri) else f"{where}; `{_ui_command(uri)} {campaign.name}` serves the pages below)"
    for name, page in pages_of(uri, experiment, campaign_fingerprint(campaign)).items():
        yield f"  {name:<9} {page}"


def _ui_command(uri: str) -> str:
    from tbar_ray.store.paths import tracking_place

    return (
        "tbar ui"
        if uri == tracking_place() and "TBAR_HOME" not in os.environ
        else f"tbar ui --tracking-uri {redact(uri)}"
    )
