from __future__ import annotations

from pathlib import Path

from tbar_ray.store.campaigns import campaigns_of
from tbar_ray.store.store import Store


def test_all_campaigns_are_told_by_name_and_version(tmp_path: Path) -> None:
    store = Store(str(tmp_path))
    assert campaigns_of(store) == []
    for campaign in ("one/0123", "one/4567", "two/89ab"):
        store.write_json(f"campaigns/{campaign}/spec.json", {})
    assert sorted(campaigns_of(store)) == ["one/0123", "one/4567", "two/89ab"]
