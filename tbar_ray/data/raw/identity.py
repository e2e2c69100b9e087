"""What tells one import from another."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from tbar_ray.data.raw.columns import Columns
from tbar_ray.data.raw.table import Table


def identity_of(table: Table, columns: Columns) -> dict[str, Any]:
    """The rows, and what their columns are taken for; not where they lie."""
    given = {name: value for name, value in asdict(columns).items() if value}
    return {"source": table.place.name, "sha256": table.digest, "rows": len(table.rows), "columns": given}
