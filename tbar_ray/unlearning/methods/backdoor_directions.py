"""Backdoor Directions: project the trigger's direction out of all weights that write it (2603.10806)."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from tbar_ray.errors import ScientificError
from tbar_ray.evaluation.zeroshot import normalise
from tbar_ray.models.blocks import blocks_of
from tbar_ray.training.record import TrainingRecord
from tbar_ray.unlearning.base import Infected, Unlearned, Unlearner
from tbar_ray.unlearning.defender import Need
from tbar_ray.unlearning.edit import Edit
from tbar_ray.unlearning.labelled import logits_of

EMBEDDING = "embedding"
Write = Callable[[Tensor], None]
"""Projects a unit direction [D] out of some of the model's weights, in place."""


class BackdoorDirections(Unlearner):
    """r = mean features of stamped images − mean features of their twins at one layer; W ← W − r̂r̂ᵀW for every writer.

    Closed form (2603.10806). The writers to a vision transformer's residual stream are the attention output and
    second MLP map of every block (also before the layer; embeddings are not changed, since a LayerNorm follows
    them). In a ResNet each stage has its own stream: the writers are the last BatchNorm of its blocks with the
    convolution before it, and the downsampling branch. BatchNorm in evaluation mode is affine, γ/σ·(Wx − μ) + β,
    and the projection is applied to this map and solved for W and β (a ReLU after the addition makes it inexact;
    this extension is not in the paper). In a ConvNeXt each stage also has its own stream: the writers are its
    downsampling convolution and the second MLP map of its blocks; the first stage, whose stream starts after a
    LayerNorm, is not a candidate (this extension is not in the paper). In a ResNet with GroupNorm, whose statistics
    depend on the image, no projection is linear, and the output projection is the only candidate. The output
    projection is an additional candidate. The chosen layer minimises the mean probability of the target on the
    forget set, among layers whose projection preserves the prediction on at least `keep` of the twins; if there is
    none, the layer that preserves most is chosen.
    """

    name: ClassVar[str] = "backdoor-directions"
    needs: ClassVar[frozenset[Need]] = frozenset({"trigger", "target", "forget set"})

    keep: float = Field(default=0.95, ge=0, le=1, description="share of twins whose prediction must not change")
    directions: int = Field(
        default=1,
        ge=1,
        le=16,
        description="number of directions: the mean of the differences, then their principal directions",
    )

    def find(self, infected: Infected) -> Unlearned:
        """Try every layer and apply the best one."""
        started = time.perf_counter()
        forget = infected.forget
        rows = forget.triggered
        twins, stamped = forget.twins[rows], forget.images[rows]
        candidates = _candidates(infected.model, self.name)
        spans = self._spans(infected, candidates, twins, stamped)
        before = _answers(infected, twins)[0]
        outcomes: dict[str, tuple[float, float]] = {}
        for name, write in candidates.items():
            for direction in spans[name]:
                write(direction)
            kept = float((_answers(infected, twins)[0] == before).float().mean())
            chance = float(_answers(infected, stamped)[1][:, infected.target].mean())
            outcomes[name] = (chance, kept)
            infected.restore()
        good = [name for name, (_, kept) in outcomes.items() if kept >= self.keep]
        best = min(good, key=lambda name: outcomes[name][0]) if good else max(outcomes, key=lambda n: outcomes[n][1])
        for direction in spans[best]:
            candidates[best](direction)
        passes = 2 * len(twins) * (len(candidates) + 1)
        record = TrainingRecord(samples=passes, seconds=time.perf_counter() - started)
        facts = {"layer": best, "target_probability": outcomes[best][0], "twins_kept": outcomes[best][1]}
        return Unlearned(Edit(infected.change()), record, facts)

    def _spans(
        self, infected: Infected, candidates: dict[str, Write], twins: Tensor, stamped: Tensor
    ) -> dict[str, Tensor]:
        """Orthonormal directions [k, D] of every layer."""
        features = [_features(infected, list(candidates), images) for images in (twins, stamped)]
        spans = {}
        for name in candidates:
            difference = features[1][name] - features[0][name]
            mean = difference.mean(0, keepdim=True)
            found = mean / mean.norm().clamp_min(1e-12)
            if self.directions > 1:
                principal = torch.linalg.svd(difference - mean, full_matrices=False).Vh[: self.directions - 1]
                found = torch.linalg.qr(torch.cat((found, principal)).T).Q.T
            spans[name] = found
        return spans


def _candidates(model: nn.Module, method: str) -> dict[str, Write]:
    """Projection function of every candidate, by the layer at which the direction is read."""
    blocks = blocks_of(model, method)
    visual = model.visual
    if all(hasattr(block, "conv_dw") for block in blocks.values()):
        return {**_stages_of(visual), EMBEDDING: _into_linears([visual.head.proj])}  # type: ignore[union-attr,list-item,arg-type]
    if all(hasattr(block, "mlp") for block in blocks.values()):
        linears = [m for block in blocks.values() for m in (block.attn.out_proj, block.mlp.c_proj)]  # type: ignore[union-attr]
        found: dict[str, Write] = {name: _into_linears(linears) for name in blocks}  # type: ignore[arg-type]
    elif all(isinstance(block.bn3, nn.BatchNorm2d) for block in blocks.values()):
        stages: dict[str, list[str]] = {}
        for name in blocks:
            stages.setdefault(name.rpartition(".")[0], []).append(name)
        found = {names[-1]: _into_stage([blocks[name] for name in names]) for names in stages.values()}
    else:
        found = {}
    if isinstance(getattr(visual, "proj", None), Tensor):
        found[EMBEDDING] = _into_columns(visual.proj)  # type: ignore[union-attr,arg-type]
    elif hasattr(visual, "attnpool"):
        found[EMBEDDING] = _into_linears([visual.attnpool.c_proj])  # type: ignore[union-attr,list-item]
    elif not found:
        found[EMBEDDING] = _into_linears([visual.head.pool.proj])  # type: ignore[attr-defined]
    return found


def _stages_of(visual: nn.Module) -> dict[str, Write]:
    """Projection function of every stage of a ConvNeXt except the first, by the stage's name."""
    found = {}
    for number, stage in enumerate(visual.trunk.stages):  # type: ignore[union-attr,arg-type]
        entries = [module for module in stage.downsample.modules() if isinstance(module, nn.Conv2d)]
        if entries:
            writers = [*entries, *(block.mlp.fc2 for block in stage.blocks)]
            found[f"trunk.stages.{number}"] = _into_linears(writers)
    return found


def project_out(matrix: Tensor, direction: Tensor) -> Tensor:
    """W − r̂r̂ᵀW for W [D, …] and a unit direction [D]."""
    flat = matrix.reshape(len(matrix), -1)
    return (flat - torch.outer(direction, direction @ flat)).view_as(matrix)


def _into_linears(linears: Sequence[nn.Linear | nn.Conv2d]) -> Write:
    @torch.no_grad()
    def write(direction: Tensor) -> None:
        for linear in linears:
            linear.weight.copy_(project_out(linear.weight, direction))
            if linear.bias is not None:
                linear.bias.copy_(project_out(linear.bias[:, None], direction)[:, 0])

    return write


def _into_columns(matrix: nn.Parameter) -> Write:
    @torch.no_grad()
    def write(direction: Tensor) -> None:
        matrix.copy_(project_out(matrix.T.contiguous(), direction).T)

    return write


def _into_stage(blocks: list[nn.Module]) -> Write:
    pairs: list[tuple[nn.Conv2d, nn.BatchNorm2d]] = []
    for block in blocks:
        pairs.append((block.conv3, block.bn3))  # type: ignore[arg-type]
        if isinstance(branch := getattr(block, "downsample", None), nn.Sequential):
            convolution = next(m for m in branch if isinstance(m, nn.Conv2d))
            norm = next(m for m in branch if isinstance(m, nn.BatchNorm2d))
            pairs.append((convolution, norm))

    def write(direction: Tensor) -> None:
        for convolution, norm in pairs:
            project_affine(convolution, norm, direction)

    return write


@torch.no_grad()
def project_affine(convolution: nn.Conv2d, norm: nn.BatchNorm2d, direction: Tensor) -> None:
    """Project a unit direction [D] out of BatchNorm(convolution(x)) in evaluation mode, in place.

    With s = γ/σ the map is diag(s)·Wx + (β − s·μ). Channels with s = 0 do not depend on W and are not changed.
    """
    assert norm.running_mean is not None
    assert norm.running_var is not None
    scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    live = scale.abs() > 1e-8
    folded = project_out(scale.view(-1, 1, 1, 1) * convolution.weight, direction)
    offset = project_out((norm.bias - scale * norm.running_mean)[:, None], direction)[:, 0]
    safe = torch.where(live, scale, torch.ones_like(scale))
    convolution.weight.copy_(torch.where(live.view(-1, 1, 1, 1), folded / safe.view(-1, 1, 1, 1), convolution.weight))
    norm.bias.copy_(torch.where(live, offset + scale * norm.running_mean, norm.bias))


@torch.no_grad()
def _features(infected: Infected, names: list[str], images: Tensor, batch_size: int = 128) -> dict[str, Tensor]:
    """Mean features [N, D] at the layers: over positions of a ResNet's feature maps, over tokens of a transformer."""
    visual = infected.model.visual
    assert isinstance(visual, nn.Module)
    modules = dict(visual.named_modules())
    found: dict[str, list[Tensor]] = {name: [] for name in names}

    def keep(name: str) -> Callable[[nn.Module, object, Tensor], None]:
        def hook(_: nn.Module, __: object, output: Tensor) -> None:
            found[name].append(output.mean((2, 3)) if output.ndim == 4 else output.mean(1))

        return hook

    handles = [modules[name].register_forward_hook(keep(name)) for name in names if name != EMBEDDING]
    try:
        for start in range(0, len(images), batch_size):
            pixels = normalise(images[start : start + batch_size].to(infected.device), infected.preprocessing)
            embedding = infected.model.encode_image(pixels)  # type: ignore[operator]
            if EMBEDDING in found:
                found[EMBEDDING].append(embedding)
    finally:
        for handle in handles:
            handle.remove()
    features = {name: torch.cat(parts) for name, parts in found.items()}
    if not all(bool(torch.isfinite(value).all()) for value in features.values()):
        raise ScientificError("backdoor-directions: the image encoder gives features that are not finite")
    return features


@torch.no_grad()
def _answers(infected: Infected, images: Tensor, batch_size: int = 256) -> tuple[Tensor, Tensor]:
    """Predicted classes [N] and class probabilities [N, C] of uint8 images."""
    chances = torch.cat(
        [logits_of(infected, images[s : s + batch_size]).softmax(-1) for s in range(0, len(images), batch_size)]
    )
    return chances.argmax(-1), chances
