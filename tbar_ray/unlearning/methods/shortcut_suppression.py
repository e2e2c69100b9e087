"""Shortcut suppression: find the residual branch that carries the backdoor, remove it, fine-tune the rest."""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import Field

from tbar_ray.models.blocks import branches_of
from tbar_ray.training.loop import train
from tbar_ray.training.optimisation import sgd
from tbar_ray.training.options import Optimisation
from tbar_ray.training.record import TrainingRecord
from tbar_ray.unlearning.base import Infected, Unlearned, Unlearner
from tbar_ray.unlearning.defender import Need
from tbar_ray.unlearning.edit import Edit
from tbar_ray.unlearning.fine_tuning import combined
from tbar_ray.unlearning.labelled import LabelledPairs, accuracy


class ShortcutSuppression(Unlearner):
    """Scale every residual branch by γ ∈ {0, 0.1, …, 1}; set γ = 0 for the branch whose scaling lowers ASR most.

    ASR is measured on the defender's stamped images, and the drop is taken at the best γ. Then the image encoder is
    fine-tuned on clean, labelled pairs: SGD 0.01, 10 epochs (of 5,000 pairs in batches of 128: 390 steps). Branches:
    the last BatchNorm of a ResNet's block; attention and MLP of a transformer's block.

    Implemented from secondary sources.
    """

    name: ClassVar[str] = "shortcut-suppression"
    needs: ClassVar[frozenset[Need]] = frozenset({"trigger", "target", "forget set", "clean pairs"})
    labelled: ClassVar[bool] = True

    levels: int = Field(default=11, ge=2, description="number of values of γ from 0 to 1")
    learning_rate: float = Field(default=0.01, gt=0, description="learning rate of fine-tuning")
    steps: int = Field(default=390, ge=0, description="steps of fine-tuning; 0: none")
    batch_size: int = Field(default=128, ge=2, description="images per step")

    def find(self, infected: Infected) -> Unlearned:
        """Find the branch, remove it, fine-tune."""
        forget = infected.forget
        images, labels = forget.images[forget.triggered], forget.labels[forget.triggered]
        before = accuracy(infected, images, labels)
        search = TrainingRecord(samples=len(images))
        drops: dict[str, float] = {}
        branches = branches_of(infected.model, self.name)
        for branch in branches:
            rates = []
            for gamma in torch.linspace(0, 1, self.levels)[:-1].tolist():
                with branch.scaled(gamma):
                    rates.append(accuracy(infected, images, labels))
            search.samples += len(images) * len(rates)
            drops[branch.name] = before - min(rates)
        worst = max(branches, key=lambda branch: drops[branch.name])
        worst.scale(0.0)
        record = search
        if self.steps:
            pairs = LabelledPairs(infected, self.name)
            options = Optimisation(learning_rate=self.learning_rate, weight_decay=5e-4)
            tuned = train(pairs.objective, pairs.batches(self.batch_size), self.steps, options, freeze_batch_norm=True,
                          optimizer_for=sgd(0.9), progress=infected.progress)  # fmt: skip
            record = combined([search, tuned])
        return Unlearned(Edit(infected.change()), record, {"branch": worst.name, "asr_drops": drops})
