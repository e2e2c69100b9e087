"""The search for an unknown trigger: from its name in a spec to its stages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tbar_ray.spec.campaign import CampaignSpec
from tbar_ray.spec.unlearning import InversionSpec

if TYPE_CHECKING:
    from tbar_ray.planning.planted import PlantedAttack
    from tbar_ray.stages.evaluate import AttackGate
    from tbar_ray.stages.invert import ProxyBackdoor


def inversion_of(spec: CampaignSpec, name: str) -> InversionSpec:
    """Definition of a name: an entry of `inversions`, or a search with its own defaults."""
    entry = spec.inversions.get(name, InversionSpec())
    return entry.model_copy(update={"inversion": entry.inversion or name})


def proxy_backdoor(spec: CampaignSpec, planted: PlantedAttack, gate: AttackGate) -> ProxyBackdoor | None:
    """What stands in for an attack's backdoor where the defender has to search for it; None where it is told."""
    from tbar_ray.inversion.registry import build_inverter
    from tbar_ray.stages.invert import InvertTrigger, ProxyBackdoor

    if spec.defender.inversion is None:
        return None
    entry = inversion_of(spec, spec.defender.inversion)
    assert entry.inversion is not None
    search = InvertTrigger(
        gate=gate,
        model=planted.model,
        infected=planted.infected,
        evaluation=planted.evaluation,
        templates=spec.evaluation.templates,
        search=entry.inversion,
        # defaults too: when a default changes, the fingerprint must change
        parameters=build_inverter(entry.inversion, entry.parameters).model_dump(),
        images=entry.images,
        seed=spec.seed,
        threads=spec.resources.trial_cpus,
    )
    return ProxyBackdoor(search=search, seed=spec.seed)
