"""A campaign to report on."""

from __future__ import annotations

from tbar_ray.spec.campaign import CampaignSpec

SPEC = CampaignSpec.model_validate(
    {
        "name": "demo",
        "description": "a small one",
        "data": {"synthetic": {}},
        "model": {"architecture": "tbar-ViT-tiny", "training": {}},
        "attacks": {name: {"trigger": name, "target": "red square"} for name in ("badnets", "blended")},
        "poison": {"rate": 0.01},
        "search": {"axes": {"attack": ["badnets", "blended"]}},
    }
)
