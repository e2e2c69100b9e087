"""Addresses of a campaign's pages in MLflow's UI."""

from __future__ import annotations

from urllib.parse import quote

from tbar_ray.tracking.places import is_server, signed_in

PORT = 5000
"""The port of `tbar ui`, unless another is given."""


def ui_address(tracking_uri: str, port: int = PORT) -> str:
    """Where MLflow's UI is: at its server, or where `tbar ui` serves a database."""
    return signed_in(tracking_uri).rstrip("/") if is_server(tracking_uri) else f"http://127.0.0.1:{port}"


def runs_page(address: str, experiment_id: str, campaign: str) -> str:
    """The table of a campaign's trials, with the columns of its view (`tracking.view`).

    Args:
        address: of the UI.
        experiment_id: MLflow's number.
        campaign: the campaign's fingerprint.
    """
    where = f"{address}/#/experiments/{quote(experiment_id)}/runs"
    return f"{where}?workflowType=machine_learning&viewStateShareKey={quote(campaign)}"


def pages_of(tracking_uri: str, experiment_id: str, campaign: str) -> dict[str, str]:
    """Addresses of a campaign's pages by name; none where nothing was recorded (an empty `experiment_id`)."""
    if not experiment_id:
        return {}
    told = ui_address(tracking_uri), experiment_id, campaign
    return {"runs": runs_page(*told), "compare": compare_page(*told)}


def compare_page(address: str, experiment_id: str, campaign: str) -> str:
    """The charts of a campaign's trials: the axes that vary against ASR, CA and PA."""
    return f"{runs_page(address, experiment_id, campaign)}&compareRunsMode=CHART"
