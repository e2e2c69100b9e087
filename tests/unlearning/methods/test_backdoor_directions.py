import numpy as np
import pytest
import torch
from torch import Tensor

from tbar_ray.unlearning.base import Infected
from tbar_ray.unlearning.methods.backdoor_directions import BackdoorDirections
from tests.models.tiny import VIT, snapshot
from tests.unlearning.formulas import chances_of
from tests.unlearning.planted import TARGET, case
from tests.unlearning.reference import NEAR, distance, pixels


def test_the_direction_of_the_best_layer_is_projected_out_of_what_writes_it() -> None:
    planted = case(VIT)
    infected = Infected(planted.model, snapshot(planted.model), planted.data, planted.preprocess, 0)
    forget, start = infected.forget, {name: value.double().numpy() for name, value in infected.start.items()}
    blocks = list(infected.model.visual.transformer.resblocks)
    ends = ("attn.out_proj", "mlp.c_proj")
    writers = [f"visual.transformer.resblocks.{n}.{end}" for n in range(len(blocks)) for end in ends]

    @torch.no_grad()
    def features(images: Tensor) -> list[np.ndarray]:
        """Return the mean over tokens after every block, and the embedding."""
        seen_there: list[np.ndarray] = []
        hooks = [
            b.register_forward_hook(lambda _m, _i, o: seen_there.append(o.mean(1).double().numpy())) for b in blocks
        ]
        embedding = infected.model.encode_image(pixels(infected, images)).double().numpy()
        for hook in hooks:
            hook.remove()
        return [*seen_there, embedding]

    def edited(layer: int, direction: np.ndarray) -> dict[str, np.ndarray]:
        rest = np.eye(len(direction)) - np.outer(direction, direction)
        if layer == len(blocks):
            return {"visual.proj": start["visual.proj"] @ rest}
        return {f"{w}.{part}": rest @ start[f"{w}.{part}"] for w in writers for part in ("weight", "bias")}

    try:
        found = BackdoorDirections(keep=0.9).find(infected)
        infected.restore()
        before = chances_of(infected, forget.twins).argmax(1)
        edits, outcomes = [], []
        for layer, (stamped, plain) in enumerate(zip(features(forget.images), features(forget.twins), strict=True)):
            direction = (stamped - plain).mean(0)
            edits.append(edited(layer, direction / np.linalg.norm(direction)))
        for edit in edits:
            moved = {name: torch.from_numpy(value).float() for name, value in edit.items()}
            infected.model.load_state_dict({**infected.start, **moved})
            kept = float((chances_of(infected, forget.twins).argmax(1) == before).mean())
            outcomes.append((float(np.exp(chances_of(infected, forget.images))[:, TARGET].mean()), kept))
        good = [layer for layer, (_, kept) in enumerate(outcomes) if kept >= 0.9]
        best = min(good, key=lambda layer: outcomes[layer][0])
        assert len({chance for chance, _ in outcomes}) > 1
        assert distance(found.edit.vector, {name: value - start[name] for name, value in edits[best].items()}) < NEAR
        assert found.facts["target_probability"] == pytest.approx(outcomes[best][0], abs=1e-3)
        assert found.facts["twins_kept"] == pytest.approx(outcomes[best][1])
    finally:
        infected.restore()
