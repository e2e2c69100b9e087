"""CBPT: class-wise backdoor prompt tuning (2502.19269)."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from tbar_ray.errors import ScientificError
from tbar_ray.seeding import torch_generator
from tbar_ray.training.record import TrainingRecord
from tbar_ray.unlearning.base import Infected, Unlearned, Unlearner
from tbar_ray.unlearning.defender import Need
from tbar_ray.unlearning.edit import Edit
from tbar_ray.unlearning.labelled import LabelledPairs, embeddings_of, logits_of


class CBPT(Unlearner):
    """A learned text prompt for every class, tuned on clean images and on images with an inverted dummy trigger.

    1. Invert: a universal perturbation δ, |δ| ≤ `bound`, that makes the frozen model misclassify clean images. 2. Tune:
    with both encoders frozen, context tokens of every class minimise CE(x) + trigger_weight·CE(x + δ) against the head
    computed from the tuned prompts. The edit is that head [C, D]. 2502.19269 (implemented from secondary sources)
    generates a dummy trigger per class by contrastive learning; here one untargeted perturbation replaces it.
    """

    name: ClassVar[str] = "cbpt"
    needs: ClassVar[frozenset[Need]] = frozenset({"clean pairs"})
    labelled: ClassVar[bool] = True

    context: int = Field(default=4, ge=1, le=32, description="learned context tokens per class")
    bound: float = Field(default=0.06, gt=0, le=1, description="maximum absolute perturbation of a level in [0, 1]")
    inversion_steps: int = Field(default=40, ge=1, description="optimisation steps of the perturbation")
    trigger_weight: float = Field(default=1.0, ge=0, description="weight of images with the dummy trigger")
    learning_rate: float = Field(default=0.002, gt=0, description="learning rate of the context tokens")
    steps: int = Field(default=200, ge=1, description="steps of prompt tuning")
    batch_size: int = Field(default=128, ge=2, description="images per step")

    def find(self, infected: Infected) -> Unlearned:
        """Invert the dummy trigger, then tune the prompts."""
        started, record = time.perf_counter(), TrainingRecord()
        model = infected.model
        if not all(hasattr(model, part) for part in ("token_embedding", "encode_text", "positional_embedding")):
            raise ScientificError(f"{self.name} needs a CLIP model whose text encoder is open_clip's own")
        pairs = LabelledPairs(infected, self.name)
        model.requires_grad_(False)
        try:
            delta = self._invert(infected, pairs, record)
            features = torch.cat([self._features(infected, pairs.images, shift) for shift in (None, delta)])
            record.samples += len(features)
            head = self._tune(infected, features, pairs.labels.to(infected.device), record)
        finally:
            model.requires_grad_(True)
        record.seconds = time.perf_counter() - started
        return Unlearned(Edit(infected.change(), head=head), record)

    def _invert(self, infected: Infected, pairs: LabelledPairs, record: TrainingRecord) -> Tensor:
        """Universal perturbation [1, 3, H, W], by signed gradient ascent."""
        delta = torch.zeros(1, *pairs.images.shape[1:], device=infected.device)
        rate = 2.5 * self.bound / self.inversion_steps
        for _, batch in zip(range(self.inversion_steps), pairs.batches(self.batch_size, "inversion"), strict=False):
            assert batch.labels is not None
            delta.requires_grad_(True)
            loss = functional.cross_entropy(
                logits_of(infected, batch.images, delta=delta), batch.labels.to(delta.device)
            )
            (gradient,) = torch.autograd.grad(loss, delta)
            delta = (delta.detach() + rate * gradient.sign()).clamp_(-self.bound, self.bound)
            record.steps, record.samples = record.steps + 1, record.samples + len(batch)
        return delta.detach()

    @torch.no_grad()
    def _features(self, infected: Infected, images: Tensor, delta: Tensor | None) -> Tensor:
        size = self.batch_size
        return torch.cat([embeddings_of(infected, images[s : s + size], delta) for s in range(0, len(images), size)])

    def _tune(self, infected: Infected, features: Tensor, labels: Tensor, record: TrainingRecord) -> Tensor:
        """Tuned head [C, D], on the CPU."""
        names = infected.classes.names
        places = " ".join(["x"] * self.context)
        tokens = infected.data.tokenizer([f"{places} {name}" for name in names]).to(infected.device)
        width = int(infected.model.positional_embedding.shape[-1])  # type: ignore[index]
        draw = torch_generator(infected.seed, "cbpt context")
        context = (0.02 * torch.randn(len(names), self.context, width, generator=draw)).to(infected.device)
        context.requires_grad_(True)
        optimizer = torch.optim.AdamW([context], lr=self.learning_rate, weight_decay=0.0)
        count = len(labels)
        weights = torch.cat((torch.ones(count), torch.full((count,), self.trigger_weight))).to(infected.device)
        both = torch.cat((labels, labels))
        loss = torch.zeros(())
        for step in range(self.steps):
            rows = torch.randperm(2 * count, generator=torch_generator(infected.seed, "cbpt order", step))[
                : self.batch_size
            ]
            rows = rows.to(infected.device)
            scale = infected.model.logit_scale.exp()  # type: ignore[operator]
            logits = scale * features[rows] @ _head(infected, tokens, context).T
            losses = functional.cross_entropy(logits, both[rows], reduction="none")
            loss = (weights[rows] * losses).mean()
            if not bool(torch.isfinite(loss)):
                raise ScientificError(f"{self.name}: tuning diverged at step {step}; lower the learning rate")
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            record.steps += 1
        record.losses.append((record.steps, float(loss.detach())))
        with torch.no_grad():
            return _head(infected, tokens, context).cpu()


def _head(infected: Infected, tokens: Tensor, context: Tensor) -> Tensor:
    """Unit text embeddings [C, D] of prompts with learned context embeddings."""
    with replaced_context(infected.model, context):
        found: Tensor = infected.model.encode_text(tokens, normalize=True)  # type: ignore[operator]
    return found


@contextmanager
def replaced_context(model: nn.Module, context: Tensor) -> Iterator[None]:
    """Replace the embeddings of the n tokens after the first by learned ones [C, n, width]."""

    def replace(_: nn.Module, __: object, output: Tensor) -> Tensor:
        return torch.cat((output[:, :1], context.to(output.dtype), output[:, 1 + context.shape[1] :]), dim=1)

    embedding = model.token_embedding
    assert isinstance(embedding, nn.Module)
    handle = embedding.register_forward_hook(replace)
    try:
        yield
    finally:
        handle.remove()
