"""A store's file system, whose clients' own exceptions become one line."""

from __future__ import annotations

import errno
from collections.abc import Callable
from functools import wraps
from typing import Any

from tbar_ray.errors import StoreError, first_line

LOOKS = frozenset({"exists", "ls"})
"""Calls that only look: their OSErrors, too, mean that the store cannot be reached."""


class Reached:
    """An fsspec file system; a call raises OSError, or StoreError where the store cannot be reached.

    Clients of object stores raise exceptions of their own, for instance where there are no credentials.
    """

    def __init__(self, system: Any, url: str) -> None:
        self._system, self._url = system, url

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._system, name)
        return self._explained(name, found) if callable(found) else found

    def _explained(self, name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(call)
        def explained(*args: Any, **options: Any) -> Any:
            try:
                return call(*args, **options)
            except Exception as error:
                if isinstance(error, OSError) and name not in LOOKS:
                    raise
                raise StoreError(
                    f"store {self._url} cannot be reached: {first_line(error)}; check its address and credentials, "
                    f"or choose another with --store"
                ) from None

        return explained


def reason(error: BaseException) -> str:
    """Why a store's files could not be read or written, in one line; a full disk is said in words."""
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return "no space left on its disk"
    return first_line(error)
