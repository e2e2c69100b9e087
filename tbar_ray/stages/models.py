"""Model nodes: pretrained weights, and the clean model trained here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field

from tbar_ray.later import LATER
from tbar_ray.models.architectures import weights_size
from tbar_ray.spec.attack import Training
from tbar_ray.stages.node import INSIGNIFICANT, Given, Node, Policy, Stage, StageContext
from tbar_ray.stages.samples import open_corpus, order_of
from tbar_ray.stages.shard_training import Streamed, batches_size
from tbar_ray.stages.training import WEIGHTS, contrastive, train_on_shards
from tbar_ray.store.checkpoints import Checkpoints
from tbar_ray.store.store import Store

if TYPE_CHECKING:
    import torch
    from torch import nn


class ModelNode(Node):
    """A node that has weights of an architecture."""

    architecture: str

    def pretrained(self, store: Store) -> str:  # noqa: ARG002 - for subclasses
        """Tag or local file of the weights."""
        raise TypeError(f"{type(self).__name__} has no weights")

    def text(self) -> dict[str, torch.Tensor] | None:
        """A text tower from elsewhere; None where the weights have one."""
        return None

    def load(self, store: Store, device: torch.device) -> nn.Module:
        """The model on a device, in evaluation mode; a new one at each call."""
        from tbar_ray.models.factory import create_model

        pretrained = self.pretrained(store)
        return create_model(self.architecture, pretrained=pretrained, text=self.text(), device=device).eval()


class GivenWeights(Given, ModelNode):
    """Weights from elsewhere: an open_clip tag, or a checkpoint, identified by the digest of its content."""

    weights: Annotated[str, INSIGNIFICANT]
    content: str = Field(description="the tag, or the digest of the file (also for weights that this package ships)")
    text_from: Annotated[str | None, INSIGNIFICANT] = Field(
        default=None, description="tag or checkpoint whose text tower is added; None: the weights have one"
    )
    text_content: Annotated[str | None, LATER] = Field(default=None, description="as `content`, of `text_from`")

    def pretrained(self, store: Store) -> str:  # noqa: ARG002 - it lies elsewhere
        """An open_clip tag, or the path or URL of a checkpoint."""
        return self.weights

    def text(self) -> dict[str, torch.Tensor] | None:
        """The text tower that is added to an image encoder alone; None where the weights have one."""
        from tbar_ray.models.text_towers import text_tower

        return None if self.text_from is None else text_tower(self.architecture, self.text_from)


class PretrainedModel(GivenWeights):
    """Published weights of a clean model."""

    kind: ClassVar[str] = "pretrained"

    samples_seen: Annotated[int | None, INSIGNIFICANT] = Field(
        default=None, description="samples that they were trained on; None: not known, or known by the tag"
    )


class CleanModel(Stage, ModelNode):
    """A clean model trained on a corpus, from fresh weights or from given ones."""

    kind: ClassVar[str] = "clean-model"
    trains: ClassVar[bool] = True
    shared: ClassVar[bool] = True
    version: ClassVar[int] = 2
    on_model: ClassVar[bool] = True
    divisible: ClassVar[bool] = True

    corpus: Node
    training: Training
    seed: int
    on_error: str
    start: Annotated[PretrainedModel | None, LATER] = None
    shuffle_buffer: int | None = None
    samples: Annotated[int | None, INSIGNIFICANT] = None

    @property
    def title(self) -> str:
        """The architecture."""
        return f"clean {self.architecture}"

    @property
    def work(self) -> int:
        """Images that training sees, in all epochs; 0 if the number of samples is unknown."""
        return (self.samples or 0) * self.training.epochs

    def memory(self, policy: Policy) -> int:
        """Those of the model's training, and the batches that are read ahead."""
        return super().memory(policy) + batches_size(self.architecture, self.training.batch_size, policy)

    @property
    def disk(self) -> int:
        """Of the weights, and of a checkpoint with two moments of each."""
        return 4 * weights_size(self.architecture)

    def pretrained(self, store: Store) -> str:
        """Local file of the artifact's weights."""
        return str(store.fetch(self.artifact, WEIGHTS) / WEIGHTS)

    def run(self, context: StageContext) -> dict[str, Any]:
        """Train on every pair of the corpus."""
        import numpy as np

        from tbar_ray.models.factory import create_model, preprocessing
        from tbar_ray.stages.runtime import device_for

        corpus, weights = open_corpus(self.corpus, context.store, self.on_error)
        model = create_model(
            self.architecture,
            seed=self.seed,
            pretrained=None if self.start is None else self.start.pretrained(context.store),
            text=None if self.start is None else self.start.text(),
            device=device_for(context.policy),
        )
        return train_on_shards(
            context,
            Checkpoints(context.store, self.artifact, context.policy.checkpoint_minutes),
            contrastive(model, preprocessing(model), self.training),
            self.training,
            Streamed(
                self.architecture,
                corpus,
                order_of(corpus, np.arange(len(corpus)), self.seed, weights, self.shuffle_buffer),
                context.policy.readers,
                self.on_error,
            ),
        )
