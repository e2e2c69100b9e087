from __future__ import annotations

import numpy as np
import pytest
import torch

from tbar_ray.models.task_vector import TaskVector
from tbar_ray.unlearning.methods.tbar import TBAR
from tbar_ray.unlearning.methods.tbar_layers import LayerTBAR, Part, restricted
from tests.models.tiny import GROUP_NORM, RESNET, VIT
from tests.unlearning.formulas import infected_of
from tests.unlearning.reference import NEAR, as_change, distance


@pytest.mark.parametrize(
    ("architecture", "part", "share", "kept"),
    [
        (VIT, "late", 0.25, ("transformer.resblocks.3.", "ln_post.", "proj")),
        (VIT, "early", 0.25, ("class_", "positional_", "conv1.", "ln_pre.", "transformer.resblocks.0.")),
        (RESNET, "late", 0.25, ("layer4.", "attnpool.")),
        (RESNET, "late", 0.5, ("layer3.", "layer4.", "attnpool.")),
        (RESNET, "head", 0.5, ("attnpool.",)),
        (VIT, "head", 0.5, ("ln_post.", "proj")),
        (GROUP_NORM, "head", 0.5, ("head.pool.",)),
        (RESNET, "early", 0.25, ("conv1.", "bn1.", "conv2.", "bn2.", "conv3.", "bn3.", "layer1.")),
    ],
)
def test_the_edit_is_the_vector_in_a_part_of_the_encoder_and_0_elsewhere(
    architecture: str, part: Part, share: float, kept: tuple[str, ...]
) -> None:
    infected = infected_of(architecture)
    settings = {"steps": 2, "batch_size": 8, "learning_rate": 1e-3}
    found = LayerTBAR(**settings, part=part, share=share).find(infected)
    infected.restore()
    plain = as_change(TBAR(**settings).find(infected).edit.vector)
    expected = {name: value for name, value in plain.items() if name.removeprefix("visual.").startswith(kept)}
    assert distance(found.edit.vector, expected) < NEAR
    norms = [np.sqrt(sum((value**2).sum() for value in values.values())) for values in (expected, plain)]
    assert found.facts["norm_kept"] == pytest.approx(norms[0] / norms[1], rel=1e-3)


@pytest.mark.parametrize(
    ("part", "kept"),
    [
        ("late", {"visual.b.1.w", "visual.b.1.g", "visual.proj"}),
        ("head", {"visual.proj"}),
        ("early", {"visual.stem", "visual.b.0.w", "visual.b.0.g"}),
        ("norms", {"visual.b.0.g", "visual.b.1.g"}),
        ("matrices", {"visual.stem", "visual.b.0.w", "visual.b.1.w", "visual.proj"}),
    ],
)
def test_a_part_of_the_encoder_is_kept(part: str, kept: set[str]) -> None:
    names = ["visual.stem", "visual.b.0.w", "visual.b.0.g", "visual.b.1.w", "visual.b.1.g", "visual.proj"]
    whole = TaskVector({name: torch.ones(2) if name.endswith(".g") else torch.ones(2, 2) for name in names})
    left = restricted(whole, ["visual.b.0.", "visual.b.1."], part, 0.5)  # type: ignore[arg-type]
    assert {name for name, value in left.tensors.items() if bool(value.any())} == kept
