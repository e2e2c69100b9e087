"""Judging perturbations: how many images they lead to their class, on images that they were not optimised on."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from tbar_ray.inversion.subject import Subject, chunks


@dataclass(frozen=True)
class Judged:
    """Of K perturbations, each on the same images.

    Attributes:
        rates: share of the images that are answered with the perturbation's class, [K].
        margins: mean margin of the cosines, the class's less the best other's, [K].
    """

    rates: Tensor
    margins: Tensor


@torch.no_grad()
def judge(subject: Subject, images: Tensor, noise: Tensor, targets: Tensor, at_once: int = 512) -> Judged:
    """Judge additive perturbations [K, 3, H, W] towards classes [K] on float images [B, 3, H, W]."""
    rates, margins, classes = [], [], subject.classes
    for chunk in chunks(len(noise), at_once // len(images)):
        stamped = (images[None] + noise[chunk][:, None]).clamp(0, 1)
        cosines = (subject.embed(stamped.flatten(0, 1)) @ classes.T).view(-1, len(images), len(classes))
        wanted = targets[chunk].to(cosines.device)[:, None, None].expand(-1, len(images), 1)
        own = cosines.gather(2, wanted)[..., 0]
        others = cosines.scatter(2, wanted, -2.0).amax(2)
        rates.append((own > others).float().mean(1))
        margins.append((own - others).mean(1))
    return Judged(torch.cat(rates).cpu(), torch.cat(margins).cpu())
