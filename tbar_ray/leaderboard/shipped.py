"""The shipped campaigns whose cells the leaderboard has, and whether another one's cells are the same."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache

from tbar_ray.dotted import leaves
from tbar_ray.spec.campaign import CampaignSpec
from tbar_ray.spec.load import load_spec
from tbar_ray.spec.shipped import shipped_specs

SHIPPED: Mapping[str, str] = {"scenes": "leaderboard", "photographs": "photographs/leaderboard"}
"""Shipped campaigns by data set."""
NAMES: Mapping[str, str] = {"leaderboard": "scenes", "leaderboard-photographs": "photographs"}
"""Data sets by the name of the campaign; another campaign's data set has the campaign's name."""
NOT_COMPARED = (
    "search", "resources", "description", "seed", "data.train", "data.evaluation", "evaluation.rebound.eligible_only",
)  # fmt: skip
"""Fields of a campaign that say which of its cells are computed, and how, but not what they are."""


@cache
def shipped_board(data: str) -> CampaignSpec:
    """The shipped campaign of a data set."""
    return load_spec(shipped_specs()[SHIPPED[data]])


def differences(spec: CampaignSpec) -> list[str]:
    """Fields, dotted, in which a campaign with a shipped one's name computes other cells than that one.

    More attacks and methods, and leaving rebound out, change no cell that the shipped one has.
    """
    if (data := NAMES.get(spec.name)) is None:
        return []
    shipped = shipped_board(data)
    left = [*NOT_COMPARED, *(["evaluation.rebound"] if spec.evaluation.rebound is None else [])]
    left += [f"attacks.{name}" for name in spec.attacks if name not in shipped.attacks]
    left += [f"methods.{name}" for name in spec.methods if name not in shipped.methods]
    own, wanted = (dict(leaves(each.model_dump(mode="json"))) for each in (spec, shipped))
    return sorted(
        field for field in {*own, *wanted} if own.get(field) != wanted.get(field) and not is_below(field, left)
    )


def is_below(field: str, names: Iterable[str]) -> bool:
    """Whether a dotted field is one of some, or below one."""
    return any(field == name or field.startswith(f"{name}.") for name in names)
