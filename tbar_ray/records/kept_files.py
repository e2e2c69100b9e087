"""Files that a campaign keeps beside its records, one for each time that there was something to write down."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from pydantic import ValidationError

from tbar_ray.errors import StoreError
from tbar_ray.store.store import Store

T = TypeVar("T")


def kept_files(store: Store, folder: str, read: Callable[[Any], T]) -> list[T]:
    """What the JSON files of a folder of the store hold, in the order of their names; nothing if there is no folder.

    Args:
        store: of the campaign.
        folder: in the store.
        read: makes it of a file's content.

    Raises:
        StoreError: if a file is broken.
    """
    found = []
    for name in store.list_json(folder):
        try:
            found.append(read(store.read_json(f"{folder}/{name}")))
        except ValidationError:
            raise StoreError(f"store {store.url}: {folder}/{name} is broken; remove it") from None
    return found
