"""Shapley pruning: remove the channels that contribute most to predicting the target for triggered images."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor

from tbar_ray.seeding import torch_generator
from tbar_ray.training.record import TrainingRecord
from tbar_ray.unlearning.base import Infected, Unlearned, Unlearner
from tbar_ray.unlearning.channels import Channels, channels_of
from tbar_ray.unlearning.defender import Need
from tbar_ray.unlearning.edit import Edit
from tbar_ray.unlearning.labelled import logits_of


class ShapleyPruning(Unlearner):
    """Prune the channels with the highest Shapley value for the triggered behaviour.

    The players of the game are groups of channels; the worth v(S) is the mean log-probability of the target on stamped
    images, with the channels outside S set to 0. Shapley values are estimated by permutations (Castro et al. 2009):
    players leave one after the other in random order, and each is credited with the lost worth; a permutation ends
    early once the worth is below `floor` nats (truncation: Ghorbani and Zou, 2002.09815). After ShapPruning (Guan et
    al., CVPR 2022), which prunes < 1 % of the neurons.
    """

    name: ClassVar[str] = "shapley-pruning"
    needs: ClassVar[frozenset[Need]] = frozenset({"trigger", "target", "forget set"})

    images: int = Field(default=64, ge=1, description="stamped images used to measure the worth")
    permutations: int = Field(default=20, ge=1, description="number of random orders in which channels leave")
    group: int = Field(default=8, ge=1, description="channels per player, adjacent in a layer")
    floor: float = Field(default=-4.0, lt=0, description="mean log-probability of the target below which an order ends")
    share: float = Field(default=0.01, gt=0, lt=1, description="share of all channels to prune")

    def find(self, infected: Infected) -> Unlearned:
        """Estimate the Shapley values, then prune."""
        started = time.perf_counter()
        forget = infected.forget
        stamped = forget.images[forget.triggered][: self.images]
        channels = channels_of(infected.model, self.name)
        players = [(name, start) for name, size in channels.sizes.items() for start in range(0, size, self.group)]
        record = TrainingRecord()

        @torch.no_grad()
        def worth(present: Tensor) -> float:
            record.samples += len(stamped)
            with channels.masked(self._masks(channels, present.to(infected.device))):
                chances = logits_of(infected, stamped).log_softmax(-1)
            return float(chances[:, infected.target].mean())

        orders = (
            torch.randperm(len(players), generator=torch_generator(infected.seed, "shapley order", number))
            for number in range(self.permutations)
        )
        values = shapley_values(len(players), worth, orders, self.floor)
        pruned = self._prune(channels, players, values)
        record.seconds = time.perf_counter() - started
        total = sum(channels.sizes.values())
        return Unlearned(Edit(infected.change()), record, {"pruned": pruned, "channels": total})

    def _masks(self, channels: Channels, present: Tensor) -> dict[str, Tensor]:
        """Masks by layer: 1 for the channels of present players (bool [players]), else 0."""
        counts = [-(-size // self.group) for size in channels.sizes.values()]
        parts = torch.split(present.float(), counts)
        return {
            name: part.repeat_interleave(self.group)[:size]
            for (name, size), part in zip(channels.sizes.items(), parts, strict=True)
        }

    def _prune(self, channels: Channels, players: list[tuple[str, int]], values: Tensor) -> int:
        """Set the channels of the players with the highest values to 0; returns their number."""
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


def shapley_values(players: int, worth: Callable[[Tensor], float], orders: Iterable[Tensor], floor: float) -> Tensor:
    """Estimate the Shapley values [players] of a game.

    Args:
        players: number of players.
        worth: worth of the coalition of present players, given as bool [players].
        orders: permutations in which players leave the full coalition.
        floor: worth below which an order ends early; players still present get no credit from it.
    """
    credit, visits = torch.zeros(players, dtype=torch.float64), torch.zeros(players)
    full = worth(torch.ones(players, dtype=torch.bool))
    for order in orders:
        present, before = torch.ones(players, dtype=torch.bool), full
        for player in order.tolist():
            present[player] = False
            after = worth(present)
            credit[player] += before - after
            visits[player] += 1
            before = after
            if before < floor:
                break
    return credit / visits.clamp_min(1)
