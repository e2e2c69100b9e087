"""The places where MLflow records: servers and databases, asked before MLflow is."""

from __future__ import annotations

import json
import os
import sqlite3
from base64 import b64encode
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.parse import quote, unquote, urlparse
from urllib.request import Request, urlopen

from filelock import FileLock, Timeout

from tbar_ray.errors import TrackingError, first_line
from tbar_ray.store.paths import sqlite_path

USER, PASSWORD, TOKEN = "MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN"
LOCKED = 120.0
"""Seconds that another process may take to make the tables of a new database."""


class UnreachableError(TrackingError):
    """A server that does not answer; it may later."""


@contextmanager
def one_at_a_time(uri: str) -> Iterator[None]:
    """Let one process at a time open a SQLite database, and find or create runs in it.

    Two that make its tables at once leave it unusable for good.

    Raises:
        TrackingError: one line, if another process holds the lock for long, or none can be made.
    """
    path = sqlite_path(uri)
    if path is None:
        yield
        return
    lock = FileLock(f"{path}.lock", timeout=LOCKED)
    try:
        lock.acquire()
    except Timeout:
        raise TrackingError(
            f"MLflow at {uri}: another process has held {path}.lock for {LOCKED:.0f} s; "
            f"end it, or give another database with --tracking-uri"
        ) from None
    except OSError as error:
        raise TrackingError(f"MLflow at {uri}: {error.strerror or error}; give another with --tracking-uri") from None
    try:
        yield
    finally:
        lock.release()


def is_server(uri: str) -> bool:
    """Whether a tracking URI is that of a server."""
    return urlparse(uri).scheme in ("http", "https")


def signed_in(uri: str) -> str:
    """A server's URI without its user and password, which go where MLflow's clients look for them.

    So they stand in no message, and no URL that is made from the URI has to be read with them.
    """
    parts = urlparse(uri)
    if not is_server(uri) or "@" not in parts.netloc:
        return uri
    user, _, host = parts.netloc.rpartition("@")
    name, _, password = user.partition(":")
    os.environ[USER], os.environ[PASSWORD] = unquote(name), unquote(password)
    return parts._replace(netloc=host).geturl()


def authorisation() -> dict[str, str]:
    """Header that tells a server who asks, as MLflow's clients send it; empty without a user or token."""
    user, password, token = (os.environ.get(name, "") for name in (USER, PASSWORD, TOKEN))
    if user and password:
        return {"Authorization": f"Basic {b64encode(f'{user}:{password}'.encode()).decode()}"}
    return {"Authorization": f"Bearer {token}"} if token else {}


def check_server(uri: str) -> None:
    """Check that an HTTP server answers: MLflow's own retries would take minutes to fail.

    Raises:
        UnreachableError: one line, if it does not.
        TrackingError: one line, if it refuses.
    """
    if not is_server(uri):
        return
    try:
        with urlopen(Request(f"{uri.rstrip('/')}/health", headers=authorisation()), timeout=10):
            pass
    except HTTPError as error:
        raise TrackingError(
            f"MLflow tracking server {uri} refuses: {error.code} {error.reason}; write http://USER:PASSWORD@HOST, or "
            f"set {USER} and {PASSWORD}, if it asks who you are"
        ) from None
    except (URLError, OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise UnreachableError(
            f"MLflow tracking server {uri} does not answer ({reason}); start it or give another --tracking-uri"
        ) from None


def check_database(uri: str) -> None:
    """Ask SQLite whether it can write: MLflow would try an impossible database again for minutes."""
    if (path := sqlite_path(uri)) is None:
        return
    try:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(path, timeout=20)) as database:
            database.execute("BEGIN IMMEDIATE")
    except (sqlite3.Error, OSError) as error:
        line = first_line(error)
        raise TrackingError(f"MLflow at {uri}: {line}; give another with --tracking-uri") from None


def check_experiment(uri: str, name: str) -> None:
    """Make sure that an experiment was not deleted, where that can be asked without MLflow.

    Raises:
        TrackingError: one line with the ways out, if it was.
    """
    found: tuple[str, str] | None = None
    try:
        if (path := sqlite_path(uri)) is not None and Path(path).is_file():
            with closing(sqlite3.connect(f"file:{quote(path)}?mode=ro", uri=True, timeout=20)) as database:
                query = "SELECT experiment_id, lifecycle_stage FROM experiments WHERE name = ?"
                found = database.execute(query, (name,)).fetchone()
        elif is_server(uri):
            asked = f"{uri.rstrip('/')}/api/2.0/mlflow/experiments/get-by-name?experiment_name={quote(name)}"
            with urlopen(Request(asked, headers=authorisation()), timeout=10) as answer:
                experiment = json.load(answer)["experiment"]
                found = experiment["experiment_id"], experiment["lifecycle_stage"]
    except (sqlite3.Error, OSError, ValueError, LookupError, TypeError):
        return  # MLflow says what is wrong when it is asked
    if found is not None and found[1] == "deleted":
        raise deleted(uri, name, str(found[0]))


def deleted(uri: str, name: str, experiment_id: str) -> TrackingError:
    """The error, to be raised, of a campaign whose experiment was deleted: how to restore it or do without."""
    return TrackingError(
        f"MLflow at {uri}: experiment {name!r} (number {experiment_id}) was deleted; restore it "
        f"(`MLFLOW_TRACKING_URI={uri} mlflow experiments restore --experiment-id {experiment_id}`), remove it for good "
        f"(`mlflow gc --backend-store-uri {uri} --experiment-ids {experiment_id}`), or give the campaign another name "
        f"(--set name=…)"
    )
