"""The search for an unknown trigger: from its name in a spec to its stages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tbar_ray.spec.campaign import CampaignSpec
from tbar_ray.spec.unlearning import InversionSpec

if TYPE_CHECKING:
    from tbar_ray.inversion.base import Inverter
    from tbar_ray.planning.planted import PlantedAttack
    from tbar_ray.stages.evaluate import AttackGate
    from tbar_ray.stages.invert import ProxyBackdoor


def inversion_of(spec: CampaignSpec, name: str) -> InversionSpec:
    """Definition of a name: an entry of `inversions`, or a search with its own defaults."""
    entry = spec.inversions.get(name, InversionSpec())
    return entry.model_copy(update={"inversion": entry.inversion or name})


def build_search(spec: CampaignSpec, name: str) -> Inverter:
    """Build a search with its parameters.

    Raises:
        SpecError: if the search or a parameter is unknown or out of range.
    """
    from tbar_ray.inversion.registry import build_inverter

    entry = inversion_of(spec, name)
    return build_inverter(str(entry.inversion), entry.parameters)


def proxy_backdoor(spec: CampaignSpec, planted: PlantedAttack, gate: AttackGate) -> ProxyBackdoor | None:
    """What stands in for an attack's backdoor where the defender has to search for it; None where it is told."""
    from tbar_ray.stages.invert import InvertTrigger, ProxyBackdoor

    if (name := spec.defender.inversion) is None:
        return None
    method = build_search(spec, name)
    search = InvertTrigger(
        gate=gate,
        model=planted.model,
        infected=planted.infected,
        evaluation=planted.evaluation,
        templates=spec.evaluation.templates,
        search=method.name,
        # defaults too: when a default changes, the fingerprint must change
        parameters=method.model_dump(),
        images=inversion_of(spec, name).images,
        seed=spec.seed,
        threads=spec.resources.trial_cpus,
    )
    return ProxyBackdoor(search=search, seed=spec.seed)
