"""What an attacker plants: a trigger with its parameters and seed, and the target."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict


class Backdoor(BaseModel):
    """One backdoor, as data: the trigger is built where it is used."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    trigger: str
    parameters: dict[str, Any]
    seed: int
    target: str
