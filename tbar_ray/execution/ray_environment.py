"""Ray's environment, which must be set before Ray is imported: it reads its configuration then, once."""

from __future__ import annotations

import atexit
import os
import secrets
import shutil
import sys

from tbar_ray.store.temporary import temporary_folder


def resolve_address(address: str | None) -> str:
    """Where to run: as asked, else the cluster of RAY_ADDRESS (as in `ray job submit`), else 'local'."""
    return address or os.environ.get("RAY_ADDRESS") or "local"


def prepare(address: str) -> None:
    """Set what Ray reads at import: no usage statistics and, for a local Ray, token authentication.

    A local Ray, whose ports every user of this machine reaches, gets a token of its own, for this process tree only.
    Where RAY_AUTH_MODE is set, or a cluster is joined, the user's choice is kept.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # Ray's future default; silences a warning
    if address != "local" or "RAY_AUTH_MODE" in os.environ or "ray" in sys.modules:
        return
    folder = temporary_folder("token")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    token = folder / "token"
    token.touch(mode=0o600)
    token.write_text(secrets.token_hex(32))
    os.environ["RAY_AUTH_MODE"] = "token"
    os.environ["RAY_AUTH_TOKEN_PATH"] = str(token)
