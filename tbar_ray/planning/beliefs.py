"""The trigger that a defender works with, who may be wrong about the attacker's or may have to search for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tbar_ray.errors import SpecError
from tbar_ray.naming import nearest
from tbar_ray.planning.inversion import proxy_backdoor
from tbar_ray.planning.methods import used_attacks
from tbar_ray.spec.campaign import CampaignSpec
from tbar_ray.spec.unlearning import Belief
from tbar_ray.stages.backdoor import Backdoor
from tbar_ray.triggers.presets import resolve
from tbar_ray.triggers.registry import build_trigger

if TYPE_CHECKING:
    from tbar_ray.planning.planted import PlantedAttack
    from tbar_ray.stages.evaluate import AttackGate


def defenders_backdoor(spec: CampaignSpec, planted: PlantedAttack, gate: AttackGate, attack: str) -> Backdoor | None:
    """What stands in for an attack's backdoor: what a search finds, or what the defender believes; None: nothing does.

    Raises:
        SpecError: if the belief does not tell the attack's trigger.
    """
    if spec.defender.believes is not None:
        return believed_backdoor(spec, planted.backdoor, attack)
    return proxy_backdoor(spec, planted, gate)


def believed_backdoor(spec: CampaignSpec, true: Backdoor, attack: str) -> Backdoor:
    """What the defender takes for an attack's backdoor.

    Raises:
        SpecError: if the belief or its trigger does not exist, or it says nothing of the attack.
    """
    belief = _belief_of(spec, attack)
    seed = true.seed if belief.seed is None else belief.seed
    if belief.trigger is None:
        return true.model_copy(update={"parameters": {**true.parameters, **belief.parameters}, "seed": seed})
    trigger, parameters = resolve(belief.trigger, belief.parameters)
    return Backdoor(trigger=trigger, parameters=parameters, seed=seed, target=true.target)


def check_beliefs(spec: CampaignSpec) -> None:
    """Build what the defender takes for the triggers of the attacks.

    Raises:
        SpecError: one line with the field.
    """
    for belief, attacks in spec.beliefs.items():
        for attack in attacks:
            if attack not in spec.attacks:
                raise SpecError(f"beliefs.{belief}: {attack!r} is not under 'attacks'{nearest(attack, spec.attacks)}")
    if (name := spec.defender.believes) is None:
        return
    if spec.defender.inversion is not None:
        raise SpecError("defender.believes: who searches for the trigger believes nothing of it; leave one out")
    for attack in used_attacks(spec):
        _belief_of(spec, attack)
        about = spec.attacks[attack]
        trigger, parameters = resolve(about.trigger, about.parameters)
        true = Backdoor(trigger=trigger, parameters=parameters, seed=spec.seed, target=about.target)
        try:
            believed = believed_backdoor(spec, true, attack)
            build_trigger(believed.trigger, believed.parameters, believed.seed)
        except SpecError as error:
            raise SpecError(f"beliefs.{name}.{attack}: {error}") from None


def _belief_of(spec: CampaignSpec, attack: str) -> Belief:
    name = spec.defender.believes
    assert name is not None
    if name not in spec.beliefs:
        raise SpecError(f"defender.believes: {name!r} is not under 'beliefs'{nearest(name, spec.beliefs)}")
    if (belief := spec.beliefs[name].get(attack)) is None:
        raise SpecError(f"beliefs.{name}: says nothing of the attack {attack!r}; add it")
    return belief
