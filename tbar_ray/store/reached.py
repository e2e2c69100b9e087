"""A store's file system: asked again while it is away, and its clients' own exceptions become one line."""

from __future__ import annotations

import errno
import logging
import time
from collections.abc import Callable
from functools import wraps
from typing import Any

from tbar_ray.errors import StoreError, first_line

LOOKS = frozenset({"exists", "ls"})
"""Calls that only look: their OSErrors, too, mean that the store cannot be reached."""
PATIENCE = 600.0
"""Seconds for which an object store that has answered before is asked again while it is away or overloaded."""
PAUSES = (0.5, 15.0)
"""Seconds between attempts: the first pause, which doubles, and the longest."""
AWAY = frozenset(
    {errno.EIO, errno.EBUSY, errno.ETIMEDOUT, errno.EPIPE, errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN}
)
"""Errors of a store that may answer later; s3fs gives these numbers to an overloaded server's answers."""
AWAY_CLASSES = frozenset(
    {
        "aiohttp.client_exceptions.ClientConnectionError",
        "botocore.exceptions.ConnectionError",
        "botocore.exceptions.HTTPClientError",
        "requests.exceptions.ConnectionError",
        "requests.exceptions.Timeout",
    }
)
"""The same as classes, by name: the libraries are not imported for a store that needs none of them."""


class Reached:
    """An fsspec file system; a call raises OSError, or StoreError where the store cannot be reached.

    Clients of object stores raise exceptions of their own, for instance where there are no credentials. Calls are made
    again while a store is away. All calls of a store may be repeated: they replace and remove whole files.

    Attributes:
        patience: seconds for which calls are made again. None are at first, so that a wrong address is told at once;
            `PATIENCE` once an object store has answered.
    """

    def __init__(self, system: Any, url: str) -> None:
        self._system, self._url = system, url
        self.patience = 0.0

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._system, name)
        return self._explained(name, found) if callable(found) else found

    def _explained(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(call)
        def explained(*args: Any, **options: Any) -> Any:
            try:
                return self._patiently(call, *args, **options)
            except Exception as error:
                if isinstance(error, OSError) and name not in LOOKS:
                    raise
                raise StoreError(
                    f"store {self._url} cannot be reached: {first_line(error)}; check its address and credentials, "
                    f"or choose another with --store"
                ) from None

        return explained

    def _patiently(self, call: Callable[..., Any], *args: Any, **options: Any) -> Any:
        """A call's answer; made again for as long as the store is away and there is patience."""
        deadline, (pause, longest) = time.monotonic() + self.patience, PAUSES
        while True:
            try:
                answer = call(*args, **options)
            except Exception as error:
                if not is_away(error) or time.monotonic() + pause > deadline:
                    raise
                left = deadline - time.monotonic()
                logging.getLogger(__name__).warning(
                    "store %s does not answer (%s); it is asked again for %.0f s", self._url, first_line(error), left
                )
                time.sleep(pause)
                pause = min(2 * pause, longest)
            else:
                if "://" in self._url:
                    self.patience = PATIENCE
                return answer


def is_away(error: BaseException) -> bool:
    """Whether an error says that a store did not answer, or not now; it may, if it is asked again."""
    if isinstance(error, ConnectionError | TimeoutError) or (isinstance(error, OSError) and error.errno in AWAY):
        return True
    return any(f"{base.__module__}.{base.__name__}" in AWAY_CLASSES for base in type(error).__mro__)


def reason(error: BaseException) -> str:
    """Why a store's files could not be read or written, in one line; a full disk is said in words."""
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return "no space left on its disk"
    return first_line(error)
