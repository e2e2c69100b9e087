"""Shapley pruning: remove the few channels that contribute most to answering triggered images with the target."""

from __future__ import annotations

import time
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor

from tbar_ray.seeding import torch_generator
from tbar_ray.training.loop import TrainingRecord
from tbar_ray.unlearning.base import Infected, Unlearned, Unlearner
from tbar_ray.unlearning.channels import Channels, channels_of
from tbar_ray.unlearning.defender import Need
from tbar_ray.unlearning.labelled import logits_of


class ShapleyPruning(Unlearner):
    """Prune the channels with the greatest Shapley value for the triggered behaviour.

    The game's players are groups of channels, its worth v(S) the mean log-probability of the target on stamped images,
    with the channels outside S at 0. Shapley values are estimated by permutations (Castro et al. 2009): players leave
    one after the other in random order, and each is credited with the worth that goes; a permutation ends early once
    the worth has fallen under `floor` nats (truncation: Ghorbani and Zou, 2002.09815). After ShapPruning (Guan et al.,
    CVPR 2022), which prunes < 1 % of the neurons.
    """

    name: ClassVar[str] = "shapley-pruning"
    needs: ClassVar[frozenset[Need]] = frozenset({"trigger", "target", "forget set"})

    images: int = Field(default=64, ge=1, description="stamped images that the worth is measured on")
    permutations: int = Field(default=20, ge=1, description="orders in which channels leave")
    group: int = Field(default=8, ge=1, description="channels of a player, neighbours in a layer")
    floor: float = Field(default=-4.0, lt=0, description="mean log-probability of the target at which an order ends")
    share: float = Field(default=0.01, gt=0, lt=1, description="share of all channels that is pruned")

    def find(self, infected: Infected) -> Unlearned:
        """Estimate, rank, prune."""
        started = time.perf_counter()
        forget = infected.forget
        stamped = forget.images[forget.triggered][: self.images]
        channels = channels_of(infected.model, self.name)
        players = [(name, start) for name, size in channels.sizes.items() for start in range(0, size, self.group)]
        credit, visits = torch.zeros(len(players)), torch.zeros(len(players))
        record = TrainingRecord()
        for number in range(self.permutations):
            draw = torch_generator(infected.seed, "shapley order", number)
            masks = {name: torch.ones(size, device=infected.device) for name, size in channels.sizes.items()}
            worth = self._worth(infected, channels, masks, stamped)
            for player in torch.randperm(len(players), generator=draw).tolist():
                layer, start = players[player]
                masks[layer][start : start + self.group] = 0
                left = self._worth(infected, channels, masks, stamped)
                record.samples += len(stamped)
                credit[player] += worth - left
                visits[player] += 1
                worth = left
                if worth < self.floor:
                    break
        values = credit / visits.clamp_min(1)
        pruned = self._prune(channels, players, values)
        record.seconds = time.perf_counter() - started
        total = sum(channels.sizes.values())
        return Unlearned(infected.change(), record, facts={"pruned": pruned, "channels": total})

    @torch.no_grad()
    def _worth(self, infected: Infected, channels: Channels, masks: dict[str, Tensor], stamped: Tensor) -> float:
        with channels.masked(masks):
            chances = logits_of(infected, stamped).log_softmax(-1)
        return float(chances[:, infected.target].mean())

    def _prune(self, channels: Channels, players: list[tuple[str, int]], values: Tensor) -> int:
        """Set the channels of the players with the greatest values to 0; return how many."""
        budget = max(1, int(self.share * sum(channels.sizes.values())))
        factors = {name: torch.ones(size) for name, size in channels.sizes.items()}
        pruned = 0
        for player in values.argsort(descending=True, stable=True).tolist():
            layer, start = players[player]
            size = len(factors[layer][start : start + self.group])
            if pruned + size > budget and pruned:
                break
            factors[layer][start : start + self.group] = 0
            pruned += size
        channels.scale(factors)
        return pruned
