"""ULRL: unlearn to find suspicious neurons, re-initialise them, relearn (2405.14781)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from tbar_ray.errors import ScientificError
from tbar_ray.seeding import torch_generator
from tbar_ray.training.batch import Batch
from tbar_ray.training.loop import train
from tbar_ray.training.objectives import Objective, image_parameters
from tbar_ray.training.optimisation import sgd
from tbar_ray.training.options import Optimisation
from tbar_ray.training.record import TrainingRecord
from tbar_ray.unlearning.base import Infected, Unlearned, Unlearner
from tbar_ray.unlearning.defender import Need
from tbar_ray.unlearning.edit import Edit
from tbar_ray.unlearning.fine_tuning import combined
from tbar_ray.unlearning.labelled import EpochAccuracy, LabelledPairs, logits_of

HEAD = "head"


class ULRL(Unlearner):
    """Backdoor removal from few clean samples, without knowledge of trigger or target.

    1. Unlearn: maximise CE on clean samples until the accuracy of an epoch is at most `stop_at`. 2. Score the neurons
    of one layer by Δ_i = Σ_j |ΔW_ij|; suspicious are those above the median with |Δ − median| / (1.4826·MAD) >
    `threshold`, at most `most` of them. 3. Restore the infected weights and re-initialise those rows with U(±√(2/d)).
    4. Relearn: minimise CE + deviation·Σ cos(w_i, w_i^infected) over the suspicious rows.

    As published (2405.14781 §4 and its code): 1 % of the training data, SGD 0.01 (momentum 0.9, decay 5e-4) for at most
    20 epochs, then SGD 0.005 (momentum 0.9, no decay) with a cosine schedule for 20 epochs, batch 128, deviation 0.7.

    Not as published: the highest scores are taken first (the code takes the first by index); gradients are clipped at
    norm 1, as in most methods of this package (theirs at 20, and not at all in relearning); the learning rate of
    unlearning is constant (theirs is divided by 10 after 10 epochs); BatchNorm keeps its statistics. The paper's
    neurons are rows of an image classifier's last layer. For CLIP (our mapping) they are `head`: a trainable copy of
    the zero-shot head, one row per class, used at unit length as CLIP does; `projection`: output dimensions of the
    image encoder's projection; `late-mlp`: channels of its last block.
    """

    name: ClassVar[str] = "ulrl"
    needs: ClassVar[frozenset[Need]] = frozenset({"clean pairs"})
    labelled: ClassVar[bool] = True

    neurons: Literal["head", "projection", "late-mlp"] = Field(
        default="head", description="layer whose rows are the neurons"
    )
    samples: int = Field(default=500, ge=2, description="clean images used")
    learning_rate: float = Field(default=0.01, gt=0, description="learning rate of unlearning")
    stop_at: float = Field(default=0.2, ge=0, lt=1, description="accuracy of an epoch at which unlearning ends")
    unlearning_steps: int = Field(default=80, ge=1, description="maximum steps of unlearning")
    threshold: float = Field(default=3.5, gt=0, description="robust z-score above which a neuron is suspicious")
    most: int = Field(default=2, ge=1, description="maximum number of neurons to re-initialise")
    relearning_rate: float = Field(default=0.005, gt=0, description="learning rate of relearning")
    relearning_decay: float = Field(default=0.0, ge=0, description="weight decay of relearning")
    deviation: float = Field(default=0.7, ge=0, description="weight of the cosine to the infected rows")
    steps: int = Field(default=80, ge=1, description="steps of relearning")
    batch_size: int = Field(default=128, ge=2, description="images per step")

    def find(self, infected: Infected) -> Unlearned:
        """Unlearn, find suspicious neurons, re-initialise them, relearn."""
        pairs = LabelledPairs(infected, self.name, self.samples)
        head = nn.Parameter(infected.classes.head.clone()) if self.neurons == HEAD else None
        rows = _Rows(infected, head, self.neurons)
        before = rows.read().detach().clone()
        objective = _Classifier(infected, head, -1.0, None, len(pairs.labels))
        unlearning = Optimisation(learning_rate=self.learning_rate, weight_decay=5e-4, schedule="constant")
        batches = objective.accuracy.above(pairs.batches(self.batch_size, "phase -1"), self.stop_at)
        first = _train(infected, objective, batches, self.unlearning_steps, unlearning)
        scores = robust_z((rows.read() - before).abs().sum(1).detach())
        suspicious = chosen(scores, self.threshold, self.most)
        infected.restore()
        if head is not None:
            head.data.copy_(before)
        second = TrainingRecord()
        if suspicious:
            draw = torch_generator(infected.seed, "ulrl re-initialisation")
            bound = (2 / before.shape[1]) ** 0.5
            fresh = (2 * torch.rand(len(suspicious), before.shape[1], generator=draw) - 1) * bound
            rows.write(suspicious, fresh.to(before.device))

            def deviation() -> Tensor:
                return self.deviation * likeness(rows.read()[suspicious], before[suspicious])

            objective = _Classifier(infected, head, 1.0, deviation, len(pairs.labels))
            relearning = Optimisation(learning_rate=self.relearning_rate, weight_decay=self.relearning_decay)
            second = _train(infected, objective, pairs.batches(self.batch_size, "phase +1"), self.steps, relearning)
        facts = {"suspicious": suspicious, "z_scores": [round(float(scores[row]), 2) for row in suspicious]}
        own = None if head is None or not suspicious else functional.normalize(head.detach(), dim=-1)
        return Unlearned(Edit(infected.change(), head=own), combined([first, second]), facts)


def _train(
    infected: Infected, objective: Objective, batches: Iterator[Batch], steps: int, options: Optimisation
) -> TrainingRecord:
    return train(
        objective,
        batches,
        steps,
        options,
        freeze_batch_norm=True,
        optimizer_for=sgd(0.9),
        progress=infected.progress,
    )


class _Classifier(Objective):
    """±CE on clean images against the unit rows of the head (trained if they are the neurons), plus an optional term.

    It keeps the accuracy of every epoch of `size` images.
    """

    def __init__(
        self, infected: Infected, head: nn.Parameter | None, sign: float, beside: Callable[[], Tensor] | None, size: int
    ) -> None:
        super().__init__(infected.model, infected.preprocessing)
        self._infected, self._head, self._sign, self._beside = infected, head, sign, beside
        self.accuracy = EpochAccuracy(size)

    def named_parameters(self) -> dict[str, nn.Parameter]:
        """Parameters of the image encoder, and the head if it is trained."""
        return {**image_parameters(self.model), **({} if self._head is None else {HEAD: self._head})}

    def loss(self, batch: Batch) -> Tensor:
        """Signed loss of a batch."""
        assert batch.labels is not None
        # at unit length, since a model is scored so: a re-initialised row is shorter
        head = None if self._head is None else functional.normalize(self._head, dim=-1)
        logits = logits_of(self._infected, batch.images, head)
        self.accuracy.add(logits, batch.labels)
        loss = self._sign * functional.cross_entropy(logits, batch.labels)
        return loss if self._beside is None else loss + self._beside()


class _Rows:
    """The neurons of one layer as rows of a matrix [neurons, inputs]."""

    def __init__(self, infected: Infected, head: nn.Parameter | None, neurons: str) -> None:
        self._weight, self._transposed = (head, False) if head is not None else layer_of(infected.model, neurons)

    def read(self) -> Tensor:
        """Current rows [neurons, inputs], as a view through which gradients reach the layer."""
        return self._weight.T if self._transposed else self._weight.flatten(1)

    @torch.no_grad()
    def write(self, rows: list[int], values: Tensor) -> None:
        """Replace rows by values [len(rows), inputs], in place."""
        flat = self._weight.data.T if self._transposed else self._weight.data.view(len(self._weight), -1)
        flat[rows] = values


def layer_of(model: nn.Module, neurons: str) -> tuple[nn.Parameter, bool]:
    """The weight that holds a kind of neurons, and whether the neurons are its columns.

    Raises:
        ScientificError: if the image encoder has no such layer.
    """
    named: Mapping[str, nn.Parameter] = dict(model.visual.named_parameters())  # type: ignore[union-attr]
    if neurons == "projection":
        if "proj" in named:
            return named["proj"], True
        for name in ("attnpool.c_proj.weight", "head.proj.weight", "head.pool.proj.weight"):
            if name in named:
                return named[name], False
    late = [name for name in named if name.endswith(("mlp.c_fc.weight", "mlp.fc1.weight", "conv3.weight"))]
    if neurons == "late-mlp" and late:
        return named[late[-1]], False
    raise ScientificError(f"ulrl: the image encoder has no layer for neurons: {neurons}; use neurons: head")


def likeness(rows: Tensor, infected: Tensor) -> Tensor:
    """Σ cos(w_i, w_i^infected) over rows [N, D]."""
    return functional.cosine_similarity(rows, infected, dim=1).sum()


def robust_z(scores: Tensor) -> Tensor:
    """Robust z-scores (Δ − median) / (1.4826·MAD) of scores [N]; medians of even N average the middle two."""
    median = scores.quantile(0.5)
    spread = (scores - median).abs().quantile(0.5)
    return (scores - median) / (1.4826 * spread + torch.finfo(scores.dtype).tiny)


def chosen(scores: Tensor, threshold: float, most: int) -> list[int]:
    """Neurons whose z-score is above the threshold, highest first, at most `most`."""
    order = scores.argsort(descending=True, stable=True).tolist()
    return [row for row in order if float(scores[row]) > threshold][:most]
