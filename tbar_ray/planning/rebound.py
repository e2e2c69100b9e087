"""The stages of rebound, from what a spec says of it: the cleaned model and those that it is compared with."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Literal

from tbar_ray.planning.planted import PlantedAttack
from tbar_ray.spec.campaign import CampaignSpec
from tbar_ray.stages.alpha_path import AlphaPath
from tbar_ray.stages.evaluate import Evaluate
from tbar_ray.stages.rebound import MeasureRebound

Followed = Literal["removed", "infected", "clean"]
"""The model that is fine-tuned: after removal, the infected one, the clean one."""
ReboundStages = Mapping[Followed, MeasureRebound]
"""A stage for each model, all at one learning rate."""


def rebound_stages(
    spec: CampaignSpec, planted: PlantedAttack, path: AlphaPath, clean: Evaluate | None
) -> tuple[ReboundStages, ...]:
    """Stages at each learning rate, the spec's own first; none where the spec does not ask for rebound."""
    wanted = spec.evaluation.rebound
    if wanted is None:
        return ()
    found = []
    for options in wanted.at_each_rate():
        stage = partial(
            MeasureRebound,
            gate=path.gate,
            infected=planted.infected,
            options=options,
            pairs=wanted.pairs,
            seed=spec.seed,
            threads=spec.resources.trial_cpus,
        )
        stages: dict[Followed, MeasureRebound] = {
            "removed": stage(scorer=path.infected, path=path, eligible_only=wanted.eligible_only),
            "infected": stage(scorer=path.infected),
        }
        if clean is not None:
            stages["clean"] = stage(scorer=clean)
        found.append(stages)
    return tuple(found)
