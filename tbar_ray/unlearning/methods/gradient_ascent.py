"""Gradient ascent: unlearn the trigger by maximising the loss on the forget set."""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar

from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from tbar_ray.evaluation.zeroshot import normalise
from tbar_ray.training.batch import Batch
from tbar_ray.training.objectives import Objective, image_parameters
from tbar_ray.training.shuffled import shuffled
from tbar_ray.unlearning.base import Infected, Unlearned
from tbar_ray.unlearning.defender import Need
from tbar_ray.unlearning.edit import Edit
from tbar_ray.unlearning.fine_tuning import FineTuning


class GradientAscent(FineTuning):
    """Minimise −CE(f(x), target) over triggered images, against the frozen zero-shot head.

    A baseline of the TBAR paper (2510.14845), which gives no hyper-parameters. Ascent is unbounded, so it stops once
    the target's mean probability on a batch of triggered images is at most `stop_at`. It moves triggered images from
    the target to the nearest other class, so PA stays low.
    """

    name: ClassVar[str] = "gradient-ascent"
    needs: ClassVar[frozenset[Need]] = frozenset({"trigger", "target", "forget set"})

    stop_at: float = Field(default=0.01, ge=0, lt=1, description="mean probability of the target at which ascent ends")

    def objective_on(self, infected: Infected) -> Ascent:
        """Negated cross-entropy with a stopping criterion."""
        return Ascent(infected, self.stop_at)

    def batches_from(self, infected: Infected) -> Iterator[Batch]:
        """The triggered images of the forget set in a seeded order."""
        forget = infected.forget
        rows = forget.triggered
        return shuffled(
            forget.images[rows],
            forget.labels[rows],
            None,
            batch_size=self.batch_size,
            seed=infected.seed,
            purpose="gradient ascent order",
        )

    def find(self, infected: Infected) -> Unlearned:
        """Ascend, and record the target's final probability."""
        objective = self.objective_on(infected)
        record = self.fit_on(infected, objective, objective.until_done(self.batches_from(infected)))
        return Unlearned(Edit(infected.change()), record, {"target_probability": objective.probability})


class Ascent(Objective):
    """−CE of triggered images; stores the target's mean probability on the last batch."""

    def __init__(self, infected: Infected, stop_at: float) -> None:
        super().__init__(infected.model, infected.preprocessing)
        self._head = infected.classes.head
        self._scale = infected.model.logit_scale.detach().exp().clone()  # type: ignore[operator]
        self._stop_at = stop_at
        self.probability = 1.0

    def named_parameters(self) -> dict[str, nn.Parameter]:
        """Parameters of the image encoder, by name."""
        return image_parameters(self.model)

    def until_done(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        """Yield batches until the target's probability is at most `stop_at`."""
        for batch in batches:
            if self.probability <= self._stop_at:
                return
            yield batch

    def logits(self, images: Tensor) -> Tensor:
        """Class logits [B, C] of uint8 images."""
        features = self.model.encode_image(normalise(images, self.preprocessing), normalize=True)  # type: ignore[operator]
        logits: Tensor = self._scale * features @ self._head.T
        return logits

    def loss(self, batch: Batch) -> Tensor:
        """Negated cross-entropy to the batch's labels."""
        assert batch.labels is not None
        return self.ascent(self.logits(batch.images), batch.labels)

    def ascent(self, logits: Tensor, labels: Tensor) -> Tensor:
        """−CE of logits [B, C] and labels [B]; stores the mean probability of the labels."""
        chances = logits.log_softmax(-1)
        self.probability = float(chances.detach().gather(1, labels[:, None]).exp().mean())
        return -functional.nll_loss(chances, labels)
