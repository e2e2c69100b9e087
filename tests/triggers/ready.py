"""Triggers by name, ready to stamp: a learned one with noise in place of its optimised pattern."""

from tbar_ray.triggers.badclip import BadCLIP, random_start
from tbar_ray.triggers.base import Trigger
from tbar_ray.triggers.registry import build_trigger


def ready(name: str, seed: int = 0, **parameters: object) -> Trigger:
    trigger = build_trigger(name, parameters, seed)
    return trigger.with_pixels(random_start(seed, trigger.patch_size)) if isinstance(trigger, BadCLIP) else trigger
