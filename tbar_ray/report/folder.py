"""Where reports go: a folder for each spec, and a link to the newest."""

from __future__ import annotations

import contextlib
import tempfile
import uuid
from pathlib import Path

from tbar_ray.errors import StoreError
from tbar_ray.planning.planner import campaign_fingerprint
from tbar_ray.planning.share import Share
from tbar_ray.spec.campaign import CampaignSpec

LATEST, PAGE = "latest", "report.html"


def report_folder(home: Path, spec: CampaignSpec, share: Share | None = None) -> Path:
    """Folder of a campaign's report in the folder of results, `reports/NAME/FINGERPRINT`.

    Other specs of the same name have others. So have shares (`FINGERPRINT-2-of-8`), whose launches may write at once.
    """
    own = "" if share is None else f"-{share.number}-of-{share.of}"
    return home / "reports" / spec.name / f"{campaign_fingerprint(spec)}{own}"


def check_writable(folder: Path) -> None:
    """Make a folder, and find out whether files can be written there, before there is anything to write.

    Raises:
        StoreError: one line, if not.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise StoreError(f"{folder} cannot be written: {error.strerror or error}; give another folder") from None


def link_latest(report: Path) -> None:
    """Let `latest`, beside a report's folder, lead to it; on file systems without links it is left out."""
    if not (report / PAGE).is_file():
        return  # the campaign ended before its report
    link = report.parent / LATEST
    part = link.with_name(f".{LATEST}.{uuid.uuid4().hex}")
    with contextlib.suppress(OSError):
        part.symlink_to(report.name)
        try:
            part.replace(link)
        finally:
            part.unlink(missing_ok=True)
