import pytest
import torch
from torch import Tensor

from tbar_ray.training.shuffled import shuffled
from tbar_ray.unlearning.methods.par import PAR
from tests.models.tiny import VIT
from tests.unlearning.formulas import infected_of
from tests.unlearning.reference import NEAR, AdamW, all_names, distance, info_nce, read, seen, trained


@pytest.mark.parametrize("threshold", [2.15, 1e-3])
def test_the_edit_drives_embeddings_away_while_pairs_stay_together(threshold: float) -> None:
    infected = infected_of(VIT)
    method = PAR(steps=3, batch_size=8, learning_rate=1e-3, threshold=threshold, perturbation=5.0)
    found = method.find(infected)
    infected.restore()
    clean = infected.clean
    order = shuffled(torch.arange(len(clean)), None, None, batch_size=8, seed=0, purpose="par order")
    with torch.no_grad():
        old_images, old_texts = seen(infected, clean.images), read(infected, clean.tokens)

    def loss() -> Tensor:
        rows = next(order).images
        images, texts = seen(infected, clean.images[rows]), read(infected, clean.tokens[rows])
        value = info_nce(images, texts, infected.model.logit_scale.exp())
        for now, old in ((images, old_images[rows]), (texts, old_texts[rows])):
            apart = ((now - old) ** 2).sum(1).mean()
            value = value - 5.0 * (apart if float(apart) <= threshold else 0.0)
        return value

    assert distance(found.edit.vector, trained(infected, [loss] * 3, all_names(infected), AdamW(1e-4), 1e-3)) < NEAR
