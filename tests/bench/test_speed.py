from pathlib import Path

import pytest
import torch

from tbar_ray.bench.speed import matrix_rate, pair_flops, training_speeds
from tbar_ray.store.store import Store
from tbar_ray.training.options import Precision
from tests.models.tiny import VIT, tiny

CPU = torch.device("cpu")


def committed(store: Store, kind: str, **identity: object) -> None:
    training = {"images_per_second": 200.0, "waiting_share": 0.25}
    record = {"kind": kind, "title": f"a {kind}", "architecture": VIT, "threads": 1, "facts": {"training": training}}
    identity["training"] = {"optimisation": {"precision": "fp32"}}
    store.commit(f"{kind}-{len(store.artifacts())}", store.scratch(), {**record, "identity": identity})


def test_a_forward_and_backward_pass_is_three_forward_passes_of_the_matrices() -> None:
    model = tiny(VIT)
    tower = model.visual.transformer
    weights = sum(p.numel() for name, p in model.named_parameters() if p.ndim == 2 and ".resblocks." in name)
    length = (model.visual.image_size[0] // model.visual.patch_size[0]) ** 2 + 1
    images = sum(p.numel() for _, p in tower.named_parameters() if p.ndim == 2)
    least = 6 * (images * length + (weights - images) * model.context_length)
    # attention, patches and projections come on top
    assert least < pair_flops(VIT) < 1.5 * least


@pytest.mark.parametrize("precision", ["fp32", "bf16", "auto"])
def test_the_rate_of_matrices_is_a_machines_and_leaves_the_threads(precision: Precision) -> None:
    before = torch.get_num_threads()
    assert 1e8 < matrix_rate(CPU, precision, 2) < 1e15
    assert torch.get_num_threads() == before


def test_trainings_on_pairs_have_a_utilisation(tmp_path: Path) -> None:
    store = Store(str(tmp_path / "store"))
    committed(store, "clean-model")
    committed(store, "infected-model", classify=True)
    committed(store, "vector")
    plain, classifying = training_speeds([store.facts(name) for name in store.artifacts()], CPU)
    assert (plain.title, plain.images_per_second, plain.waiting_share) == ("a clean-model", 200.0, 0.25)
    assert plain.flops == pytest.approx(200 * pair_flops(VIT))
    assert plain.utilisation == pytest.approx(200 * pair_flops(VIT) / plain.peak)
    assert plain.to_dict()["utilisation"] == plain.utilisation
    assert classifying.flops is None
    assert classifying.utilisation is None
