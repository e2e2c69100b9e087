"""What all parts of a trial's record have in common."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Part(BaseModel):
    """A record or a part of one: frozen, and closed to fields that it does not name."""

    model_config = ConfigDict(frozen=True, extra="forbid")
