"""The nodes of a campaign's graph: frozen models, identified by a fingerprint of what they compute.

A `Given` node exists outside the store (given shards, a pretrained tag). A `Stage` is computed, once, into an
artifact named by its fingerprint. A node's inputs are the nodes among its fields, or in tuples there; equal
sub-graphs are equal objects and run once.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import cache, cached_property
from pathlib import Path
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict

from tbar_ray.later import LATER
from tbar_ray.models.architectures import weights_size
from tbar_ray.spec.campaign import Resources
from tbar_ray.store.store import Store

Report = Callable[[dict[str, Any]], None]
"""Takes progress facts, e.g. {"done": 10, "total": 100, "loss": 1.2, "rate": 900.0}, or a line: {"note": "…"}."""


PROCESS = 1 << 30
"""Bytes of a process that has imported what stages need, about."""


@dataclass(frozen=True)
class Policy:
    """How stages run. None of it changes a result on the CPU, but for the rounding of several workers' sums.

    Attributes:
        gpus: GPUs of a stage that computes on a model, or of each of its workers; a fraction shares one.
        readers: reader actors of a training on shards, or of each of its workers.
        checkpoint_minutes: time between the checkpoints of such a training.
        training_workers: processes among which such a training divides every batch.
        training_gpus: its GPUs, where they are not `gpus`.
    """

    gpus: float = 0
    readers: int = 2
    checkpoint_minutes: float = 5
    training_workers: int = 1
    training_gpus: float | None = None

    @classmethod
    def of(cls, resources: Resources) -> Policy:
        """What the resources of a spec ask for."""
        return cls(**{field.name: getattr(resources, field.name) for field in fields(cls)})

    def for_stage(self, stage: Stage) -> Policy:
        """What of it one stage is given: GPUs if it computes on a model, several workers if it is divisible."""
        gpus = self.gpus if self.training_gpus is None or not stage.divisible else self.training_gpus
        workers = self.training_workers if stage.divisible else 1
        return replace(self, gpus=gpus if stage.on_model else 0, training_workers=workers, training_gpus=None)


DEFAULT_POLICY = Policy()


@dataclass(frozen=True)
class StageContext:
    """What a running stage is given: its inputs' store, a folder to write to, where to report, and how to run.

    `group` is Ray's placement group with a bundle for each worker of a training; None with one worker, or outside a
    campaign.
    """

    store: Store
    out: Path
    report: Report
    policy: Policy = DEFAULT_POLICY
    group: Any = None


class _Insignificant:
    """Marks a field that does not change the result of a node."""


INSIGNIFICANT = _Insignificant()
"""For `Annotated`: the field is a name for tables, or a place."""


class Node(BaseModel):
    """A node. Every field is part of the fingerprint, unless it is marked `INSIGNIFICANT` or `LATER`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: ClassVar[str]

    @cached_property
    def fingerprint(self) -> str:
        """16 hex digits of the SHA-256 of the canonical JSON of `identity`."""
        content = json.dumps(self.identity(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(content.encode()).hexdigest()[:16]

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """Copy with changes; the copy has a fingerprint of its own."""
        copied = super().model_copy(update=update, deep=deep)
        copied.__dict__.pop("fingerprint", None)
        return copied

    def identity(self) -> dict[str, Any]:
        """Kind and significant fields, with inputs replaced by their fingerprints."""
        return {"kind": self.kind, **{name: self._identity_of(name, value) for name, value in self._significant()}}

    def _identity_of(self, name: str, value: Any) -> Any:
        if value is None or type(value) in (bool, str):  # JSON has them as they are
            return value
        if nodes := _nodes_in(value):
            prints = [node.fingerprint for node in nodes]
            return prints if isinstance(value, tuple) else prints[0]
        return self.model_dump(mode="json", include={name})[name]

    def _significant(self) -> Iterator[tuple[str, Any]]:
        for name, came_later, default in _significant_fields(type(self)):
            value = getattr(self, name)
            if not (came_later and value == default):
                yield name, value

    def inputs(self) -> Iterator[Node]:
        """Yield the nodes that this one needs: its fields that are nodes, or tuples of nodes."""
        for name in type(self).model_fields:
            yield from _nodes_in(getattr(self, name))

    def needed_stages(self) -> Iterator[Stage]:
        """Yield the stages that must have run first, including those that sources need (a learned trigger)."""
        for node in self.inputs():
            if isinstance(node, Stage):
                yield node
            else:
                yield from node.needed_stages()


@cache
def _significant_fields(kind: type[Node]) -> list[tuple[str, bool, Any]]:
    """Names of the fields that count, whether they came later, and their defaults; asked for at every node."""
    fields = kind.model_fields.items()
    return [(name, LATER in f.metadata, f.default) for name, f in fields if INSIGNIFICANT not in f.metadata]


class Given(Node):
    """A node that exists already; it is never computed."""


class Stage(Node):
    """A computed node. `version` is raised whenever the same fields give another result."""

    version: ClassVar[int] = 1
    trains: ClassVar[bool] = False
    """Whether its work is training steps; forward passes otherwise."""
    shared: ClassVar[bool] = False
    """Whether many trials and campaigns share it: launches on one store compute it once, and its loss curve is logged
    with the campaign."""

    threads: int = 1
    on_model: ClassVar[bool] = False
    """Whether it computes on a model, and is given GPUs where the policy has some."""
    divisible: ClassVar[bool] = False
    """Whether it trains on shards, and may have several workers, where the policy has some."""

    def identity(self) -> dict[str, Any]:
        """Add the version (threads count: they decide the last bits of CPU results)."""
        return {**super().identity(), "version": self.version}

    @property
    def artifact(self) -> str:
        """Name of the stage's artifact in the store, KIND-FINGERPRINT."""
        return f"{self.kind}-{self.fingerprint}"

    @property
    def title(self) -> str:
        """A short description for tables and logs; the kind unless a stage says more."""
        return self.kind

    @property
    def work(self) -> int:
        """How many images go through a model (or are made), as a measure of cost; 0 if unknown."""
        return 0

    def memory(self, policy: Policy) -> int:  # noqa: ARG002 - for subclasses
        """Bytes of the CPU's memory that it takes at least, beside those of any process: a model's weights, twice.

        A training has their gradients and two moments besides, and the weights before it.
        """
        architecture = architecture_under(self) if self.on_model else None
        return weights_size(architecture) * (5 if self.trains else 2) if architecture is not None else 0

    @property
    def disk(self) -> int:
        """Bytes that it writes, roughly; 0 if they are few."""
        return 0

    def run(self, context: StageContext) -> dict[str, Any]:  # noqa: ARG002 - for subclasses
        """Compute into `context.out`; return facts for the commit.

        Raises:
            TbarError: an error that a user can fix, or why the experiment did not work.
        """
        raise TypeError(f"{type(self).__name__} does not say how it runs")


def architecture_under(node: Node) -> str | None:
    """Architecture that a node computes on: its own, or that of the models it needs; None if it needs none."""
    if "architecture" in type(node).model_fields:
        return str(node.architecture)  # type: ignore[attr-defined]
    return next((found for needed in node.inputs() if (found := architecture_under(needed))), None)


def _nodes_in(value: Any) -> tuple[Node, ...]:
    if isinstance(value, Node):
        return (value,)
    return tuple(v for v in value if isinstance(v, Node)) if isinstance(value, tuple) else ()


def stages_in_order(nodes: Sequence[Node]) -> list[Stage]:
    """Every distinct stage under `nodes`, inputs first."""
    seen: dict[str, Stage] = {}
    visited: set[int] = set()

    def visit(node: Node) -> None:
        if id(node) in visited:  # the graph holds it, and most nodes are under several others
            return
        visited.add(id(node))
        for needed in node.inputs():
            visit(needed)
        if isinstance(node, Stage) and node.fingerprint not in seen:
            seen[node.fingerprint] = node

    for node in nodes:
        visit(node)
    return list(seen.values())
