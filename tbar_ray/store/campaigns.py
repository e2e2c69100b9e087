"""Where a store has its campaigns: a folder for each name, and in that one for each version of its spec."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tbar_ray.store.store import Store

CAMPAIGNS = "campaigns"
"""The folder of all."""


def campaigns_of(store: Store) -> list[str]:
    """All campaigns of a store, as NAME/FINGERPRINT."""
    return [
        f"{name}/{fingerprint}"
        for name in store.list_folder(CAMPAIGNS)
        for fingerprint in store.list_folder(f"{CAMPAIGNS}/{name}")
    ]
