import torch
from torch import Tensor

from tbar_ray.seeding import torch_generator
from tbar_ray.training.shuffled import shuffled
from tbar_ray.unlearning.methods.roclip import RoCLIP
from tbar_ray.unlearning.mixing import varied
from tests.models.tiny import VIT
from tests.unlearning.formulas import infected_of
from tests.unlearning.reference import NEAR, AdamW, all_names, distance, info_nce, read, seen, trained


def test_the_edit_is_what_adamw_learns_with_matched_captions_in_every_second_step() -> None:
    infected = infected_of(VIT)
    found = RoCLIP(steps=3, batch_size=8, learning_rate=1e-3, bank=0.1, every=2).find(infected)
    infected.restore()
    clean = infected.clean
    batches = shuffled(clean.images, None, clean.tokens, batch_size=8, seed=0, purpose="roclip order")
    order = torch.randperm(len(clean), generator=torch_generator(0, "roclip bank"))
    bank, steps = clean.tokens[order[: round(0.1 * len(clean))]], iter(range(3))

    def loss() -> Tensor:
        step, batch = next(steps), next(batches)
        assert batch.tokens is not None
        images = seen(infected, varied(batch.images, torch_generator(0, "roclip images", step), 0.5))
        texts = read(infected, batch.tokens)
        if step == 1:
            known = read(infected, bank).detach()
            texts = known[torch.from_numpy((texts.detach().numpy() @ known.numpy().T).argmax(1))]
        return info_nce(images, texts, infected.model.logit_scale.exp())

    assert distance(found.edit.vector, trained(infected, [loss] * 3, all_names(infected), AdamW(0.1), 1e-3)) < NEAR
