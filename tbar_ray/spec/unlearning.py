"""The defences in a spec: what the defender has and knows, and the unlearning methods."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from tbar_ray.spec.section import Section

Fraction = Annotated[float, Field(ge=0, lt=1)]
Alpha = Annotated[float, Field(ge=0, le=1000)]
Knowledge = Literal["trigger", "target"]


class Forget(Section):
    """The forget set."""

    size: int = Field(default=300, ge=1, description="images, triggered and clean together")
    clean_fraction: Fraction = Field(default=0.0, description="share of clean images")


class Defender(Section):
    """What the defender has beside the forget set, and what they know of the attack."""

    knows: list[Knowledge] = Field(default=["trigger", "target"], description="known of the attack; []: nothing")
    inversion: str | None = Field(
        default=None,
        description="search that trigger and target are found by, instead of being told: see `tbar inversion list`, or "
        "a name under 'inversions'; null: they are told",
    )
    believes: str | None = Field(
        default=None,
        description="what the defender takes for the trigger, who is wrong about it: a name under 'beliefs'; null: the "
        "trigger as it is",
    )
    clean_pairs: int = Field(default=0, ge=0, description="trusted pairs, for the methods that need them")
    training_pairs: int = Field(
        default=0,
        ge=0,
        description="pairs of the attacker's training data, poisoned ones included and unmarked",
    )


class Belief(Section):
    """What a defender takes for the trigger of one attack. The target is the attack's."""

    trigger: str | None = Field(default=None, description="a trigger or a preset; null: the attack's own")
    parameters: dict[str, Any] = Field(
        default_factory=dict, description="of the trigger; of the attack's own one, those that differ"
    )
    seed: int | None = Field(
        default=None, ge=0, description="of the trigger's pattern and places; null: the attack's, which gives the same"
    )


class InversionSpec(Section):
    """A search for the trigger under a name of its own, to be listed on the axis `inversion`."""

    inversion: str | None = Field(default=None, description="a search: see `tbar inversion list`; null: its name here")
    parameters: dict[str, Any] = Field(
        default_factory=dict, description="of the search; left out: those of its documentation"
    )
    images: int = Field(default=300, ge=32, description="clean unlabelled images that it sees")


class Unlearning(Section):
    """The unlearning method and its hyper-parameters."""

    method: str = Field(default="tbar", description="a method: see `tbar method list`")
    parameters: dict[str, Any] = Field(
        default_factory=dict, description="its parameters: see `tbar method show NAME`; left out: the published ones"
    )


class Method(Section):
    """A method under a name of its own, to be listed on the axis `method`."""

    method: str | None = Field(default=None, description="a method: see `tbar method list`; null: its name here")
    parameters: dict[str, Any] = Field(default_factory=dict, description="of the method; left out: the published ones")
    alpha: list[Alpha] | None = Field(
        default=None, min_length=1, description="its path of α; null: the campaign's, or 1 where it has no strength"
    )
