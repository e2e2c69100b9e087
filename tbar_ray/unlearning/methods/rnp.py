"""RNP: expose backdoor neurons by unlearning clean images, recover the others, prune the rest (2305.14876)."""

from __future__ import annotations

import time
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from tbar_ray.errors import ScientificError
from tbar_ray.training.batch import Batch
from tbar_ray.training.loop import train
from tbar_ray.training.objectives import Objective, image_parameters
from tbar_ray.training.optimisation import sgd
from tbar_ray.training.options import Optimisation
from tbar_ray.training.record import TrainingRecord
from tbar_ray.unlearning.base import Infected, Unlearned, Unlearner
from tbar_ray.unlearning.channels import Channels, channels_of
from tbar_ray.unlearning.defender import Need
from tbar_ray.unlearning.edit import Edit
from tbar_ray.unlearning.fine_tuning import combined
from tbar_ray.unlearning.labelled import EpochAccuracy, LabelledPairs, accuracy, logits_of


class RNP(Unlearner):
    """Reconstructive neuron pruning, in three phases on few clean images.

    1. Unlearn: maximise CE on clean images until the accuracy of an epoch is at most `stop_at`; clean neurons are
    destroyed first, backdoor neurons remain. 2. Recover: with the unlearned weights fixed, learn a mask m ∈ [0, 1] per
    channel that minimises 0.2·CE. 3. Prune: the gains of the *infected* model whose mask is at most `threshold` are set
    to 0; biases stay.

    As published (2305.14876 §4 and its code): 500 images, SGD 0.01 (momentum 0.9, decay 5e-4, gradients as they are)
    for at most 20 epochs (80 steps of 128) of phase 1, masks on the gains of BatchNorm by SGD 0.2 for 20 epochs, a
    threshold of about 0.3 (tuned by hand). Not as published: the learning rate of phase 1 is constant, and not divided
    by 10 after 10 epochs; BatchNorm keeps its statistics; at most a share `most` of the channels is pruned; in a vision
    transformer, which has no BatchNorm, the channels are hidden units of its MLPs.
    """

    name: ClassVar[str] = "rnp"
    needs: ClassVar[frozenset[Need]] = frozenset({"clean pairs"})
    labelled: ClassVar[bool] = True

    samples: int = Field(default=500, ge=2, description="clean images used")
    learning_rate: float = Field(default=0.01, gt=0, description="learning rate of the ascent")
    stop_at: float = Field(default=0.2, ge=0, lt=1, description="accuracy of an epoch at which the ascent ends")
    clip_norm: float | None = Field(
        default=None, gt=0, description="largest gradient norm of the ascent; null: no clipping"
    )
    ascent_steps: int = Field(default=80, ge=1, description="maximum steps of the ascent")
    mask_learning_rate: float = Field(default=0.2, gt=0, description="learning rate of the recovery")
    recovery_weight: float = Field(default=0.2, gt=0, description="weight of the loss that masks minimise")
    steps: int = Field(default=80, ge=1, description="steps of the recovery")
    batch_size: int = Field(default=128, ge=2, description="images per step")
    threshold: float = Field(default=0.3, ge=0, le=1, description="largest mask of a channel that is pruned")
    most: float = Field(default=0.2, gt=0, le=1, description="maximum share of channels pruned, lowest masks first")

    def find(self, infected: Infected) -> Unlearned:
        """Unlearn, recover, then prune."""
        pairs = LabelledPairs(infected, self.name, self.samples)
        ascent = self._ascend(infected, pairs)
        left = accuracy(infected, pairs.images, pairs.labels)
        channels = channels_of(infected.model, self.name)
        masks, recovery = self._recover(infected, pairs, channels)
        infected.restore()
        pruned = lowest(masks, self.threshold, self.most)
        channels.scale({name: (~rows).float() for name, rows in pruned.items()}, biases=False)
        facts = {
            "accuracy_after_ascent": left,
            "pruned": sum(int(rows.sum()) for rows in pruned.values()),
            "channels": sum(len(rows) for rows in pruned.values()),
            "pruned_by_layer": {name: int(rows.sum()) for name, rows in pruned.items() if bool(rows.any())},
        }
        return Unlearned(Edit(infected.change()), combined([ascent, recovery]), facts)

    def _ascend(self, infected: Infected, pairs: LabelledPairs) -> TrainingRecord:
        objective = _Unlearning(infected, len(pairs.labels))
        return train(
            objective,
            objective.accuracy.above(pairs.batches(self.batch_size, "ascent"), self.stop_at),
            self.ascent_steps,
            Optimisation(
                learning_rate=self.learning_rate, weight_decay=5e-4, schedule="constant", clip_norm=self.clip_norm
            ),
            freeze_batch_norm=True,
            optimizer_for=sgd(0.9),
            progress=infected.progress,
        )

    def _recover(
        self, infected: Infected, pairs: LabelledPairs, channels: Channels
    ) -> tuple[dict[str, Tensor], TrainingRecord]:
        """Learned masks [channels] by layer, and the record of the recovery."""
        started, record = time.perf_counter(), TrainingRecord()
        masks = {
            name: torch.ones(size, device=infected.device, requires_grad=True) for name, size in channels.sizes.items()
        }
        optimizer = torch.optim.SGD(masks.values(), lr=self.mask_learning_rate, momentum=0.9)
        infected.model.requires_grad_(False)
        try:
            with channels.masked(masks, biases=False):
                for step, batch in zip(range(self.steps), pairs.batches(self.batch_size, "recovery"), strict=False):
                    assert batch.labels is not None
                    labels = batch.labels.to(infected.device)
                    loss = self.recovery_weight * functional.cross_entropy(logits_of(infected, batch.images), labels)
                    if not bool(torch.isfinite(loss)):
                        raise ScientificError(
                            f"{self.name}: the recovery diverged; lower learning_rate or ascent_steps"
                        )
                    optimizer.zero_grad(set_to_none=True)
                    loss.backward()  # type: ignore[no-untyped-call]
                    optimizer.step()
                    with torch.no_grad():
                        for mask in masks.values():
                            mask.clamp_(0, 1)
                    record.steps, record.samples = step + 1, record.samples + len(batch)
                record.losses.append((record.steps, float(loss.detach())))
        finally:
            infected.model.requires_grad_(True)
        record.seconds = time.perf_counter() - started
        return {name: mask.detach() for name, mask in masks.items()}, record


class _Unlearning(Objective):
    """−CE on clean images, and the accuracy of every epoch."""

    def __init__(self, infected: Infected, size: int) -> None:
        super().__init__(infected.model, infected.preprocessing)
        self._infected, self.accuracy = infected, EpochAccuracy(size)

    def named_parameters(self) -> dict[str, nn.Parameter]:
        """Parameters of the image encoder, by name."""
        return image_parameters(self.model)

    def loss(self, batch: Batch) -> Tensor:
        """Negated cross-entropy to the batch's labels."""
        assert batch.labels is not None
        logits = logits_of(self._infected, batch.images)
        self.accuracy.add(logits, batch.labels)
        return -functional.cross_entropy(logits, batch.labels)


def lowest(masks: dict[str, Tensor], threshold: float, most: float) -> dict[str, Tensor]:
    """Channels to prune, bool [channels] by layer: masks of at most `threshold`, at most a share `most` of all."""
    every = torch.cat(list(masks.values()))
    chosen = torch.zeros(len(every), dtype=torch.bool, device=every.device)
    chosen[every.argsort(stable=True)[: int(most * len(every))]] = True
    parts = torch.split(chosen & (every <= threshold), [len(mask) for mask in masks.values()])
    return dict(zip(masks, parts, strict=True))
