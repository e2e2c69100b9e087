import torch
from torch import Tensor

from tbar_ray.training.shuffled import shuffled
from tbar_ray.unlearning.methods.tbar_anchored import AnchoredTBAR
from tests.models.tiny import VIT
from tests.unlearning.formulas import infected_of
from tests.unlearning.reference import NEAR, AdamW, cross_entropy, distance, image_names, log_chances, trained


def test_the_vector_is_learned_while_answers_on_twins_are_held() -> None:
    infected = infected_of(VIT)
    found = AnchoredTBAR(steps=3, batch_size=8, learning_rate=1e-3, hold=5.0).find(infected).edit.vector
    infected.restore()
    forget = infected.forget
    with torch.no_grad():
        answers = log_chances(infected, forget.twins)
    order = shuffled(torch.arange(len(forget.images)), None, None, batch_size=8, seed=0, purpose="forget order")

    def loss() -> Tensor:
        rows = next(order).images
        wanted = answers[rows]
        held = (wanted.exp() * (wanted - log_chances(infected, forget.twins[rows]))).sum(1).mean()
        return cross_entropy(log_chances(infected, forget.images[rows]), forget.labels[rows]) + 5.0 * held

    assert distance(found, trained(infected, [loss] * 3, image_names(infected), AdamW(0.1), 1e-3)) < NEAR
