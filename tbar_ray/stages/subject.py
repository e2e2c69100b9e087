"""The model that something is done to after its cleaning, and how it is scored."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tbar_ray.stages.alpha_path import PATH, AlphaPath
from tbar_ray.stages.evaluate import Evaluate
from tbar_ray.store.store import Store

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from tbar_ray.evaluation.scores import Scores
    from tbar_ray.models.factory import Preprocessing


@dataclass(frozen=True)
class Subject:
    """A model in evaluation mode that may be trained, and its scores on the test split.

    Attributes:
        model: the model.
        preprocess: size and normalisation of its input images.
        score_with: CA, ASR and PA of it, changed or not, with another classifier [C, D] or with its own (None).
    """

    model: nn.Module
    preprocess: Preprocessing
    score_with: Callable[[nn.Module, Tensor | None], Scores]

    def score(self, model: nn.Module) -> Scores:
        """Score the model, changed or not, with its own classifier."""
        return self.score_with(model, None)


@contextmanager
def subject_of(
    scorer: Evaluate, path: AlphaPath | None, store: Store, device: torch.device
) -> Iterator[Subject | None]:
    """Yield a campaign's model: as it was cleaned at the selected α, with statistics and classifier as handed out.

    Args:
        scorer: says model, evaluation set, split and trigger.
        path: the cleaning; None for the scorer's model as it is.
        store: with both.
        device: where the model goes.

    Yields:
        None where no α was selected.
    """
    from tbar_ray.evaluation.scores import score
    from tbar_ray.models.factory import preprocessing

    data = scorer.open_data(store)
    target, trigger = data.class_index(scorer.backdoor.target), scorer.backdoor.build(store)

    def subject(model: nn.Module, head_of: Callable[[nn.Module], Tensor]) -> Subject:
        preprocess = preprocessing(model)
        split = scorer.load_split(data, "test", trigger, preprocess)

        def scored(changed: nn.Module, head: Tensor | None) -> Scores:
            return score(changed, head_of(changed) if head is None else head, split, target, preprocess)

        return Subject(model, preprocess, scored)

    if path is None:
        model, _, _ = scorer.load_model(store, device, data)
        yield subject(model, lambda changed: scorer.head_of(changed, data)[0])
        return
    alpha = json.loads((store.fetch(path.artifact, PATH) / PATH).read_text())["selected"]
    if alpha is None:
        yield None
        return
    with path.models(store, device).cleaned(alpha) as (moved, head_of):
        yield subject(moved, head_of)
