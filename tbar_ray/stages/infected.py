"""Infected models, planted here or given: weights, and the samples that their defender may draw from."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from tbar_ray.stages.backdoor import Plant
from tbar_ray.stages.models import GivenWeights, ModelNode
from tbar_ray.stages.node import Node
from tbar_ray.stages.samples import open_samples

if TYPE_CHECKING:
    from tbar_ray.stages.samples import TrainingSamples
    from tbar_ray.store.store import Store


class InfectedNode(ModelNode):
    """A model with backdoors, and the corpus that the defender's samples come from."""

    corpus: Node
    evaluation: Node
    plants: tuple[Plant, ...]
    """What was planted here; empty for a given model."""
    classify: bool
    pairs: int | None
    seed: int
    on_error: str

    def training_samples(self, store: Store) -> TrainingSamples:
        """The corpus, and what of it the attacker trained on (of a given model: all that may be drawn)."""
        return open_samples(
            self.corpus, store, classify=self.classify, pairs=self.pairs, seed=self.seed, policy=self.on_error
        )

    def poisoned_keys(self, store: Store) -> frozenset[str]:  # noqa: ARG002 - for subclasses
        """Keys of the samples that the attacker changed, which a defender does not take for clean."""
        return frozenset()


class GivenInfectedModel(GivenWeights, InfectedNode):
    """An infected model from elsewhere.

    Nothing is known of the data that it was trained on: the defender's samples come from the campaign's own corpus.
    """

    kind: ClassVar[str] = "given-infected"

    plants: tuple[Plant, ...] = ()
    classify: bool = False
    pairs: int | None = None
