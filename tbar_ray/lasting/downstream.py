"""Downstream changes of one model, each made to it by itself and scored."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from torch import Tensor, nn

from tbar_ray.evaluation.scores import Scores
from tbar_ray.lasting.change import Material, put
from tbar_ray.lasting.options import ChangeName
from tbar_ray.lasting.registry import CHANGES
from tbar_ray.models.statistics import has_statistics, reestimate


def score_changes(
    model: nn.Module,
    changes: Sequence[ChangeName],
    material: Material,
    score: Callable[[nn.Module, Tensor | None], Scores],
    clean: Callable[[], Iterable[Tensor]],
) -> Mapping[str, Scores]:
    """Make each change to a model and score it; the model is as it was afterwards.

    Args:
        model: the model, in evaluation mode.
        changes: their names.
        material: what they may use.
        score: scores the model with another classifier [C, D], or with its own (None).
        clean: gives batches of clean images (`statistics_batches`), for changes that move weights of a model with
            running statistics.

    Returns:
        Scores by the change's name, in the order asked for.
    """
    before = {name: value.detach().clone() for name, value in model.state_dict().items()}
    found: dict[str, Scores] = {}
    for name in changes:
        change = CHANGES[name]()
        try:
            head = change.apply(model, material)
            if change.moves and has_statistics(model):
                reestimate(model, clean())
            found[name] = score(model, head)
        finally:
            put(model, before)
    return found
