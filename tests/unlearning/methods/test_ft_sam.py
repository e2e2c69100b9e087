import numpy as np
import torch
from torch import Tensor

from tbar_ray.training.batch import Batch
from tbar_ray.training.shuffled import shuffled
from tbar_ray.unlearning.methods.ft_sam import FTSAM
from tests.models.tiny import VIT
from tests.unlearning.formulas import infected_of
from tests.unlearning.reference import NEAR, SGD, cross_entropy, distance, image_names, log_chances_of, pixels, trained


def test_the_edit_is_what_sgd_learns_from_the_gradient_at_the_worst_point_nearby() -> None:
    infected = infected_of(VIT)
    rho, smoothing = 0.5, 0.2
    method = FTSAM(steps=2, batch_size=8, learning_rate=0.05, rho=rho, smoothing=smoothing)
    found = method.find(infected)
    infected.restore()
    clean, names = infected.clean, image_names(infected)
    batches = shuffled(clean.images, clean.labels, None, batch_size=8, seed=0, purpose="ft-sam order")

    def smoothed(weights: dict[str, Tensor], batch: Batch) -> Tensor:
        bare = {name.removeprefix("visual."): value for name, value in weights.items()}
        embeddings = torch.func.functional_call(infected.model.visual, bare, (pixels(infected, batch.images),))
        chances = log_chances_of(infected, embeddings / embeddings.norm(dim=-1, keepdim=True))
        assert batch.labels is not None
        return (1 - smoothing) * cross_entropy(chances, batch.labels) - smoothing * chances.mean(1).mean()

    def loss() -> Tensor:
        batch = next(batches)
        weights = {name: value for name, value in infected.model.named_parameters() if name in names}
        gradients = torch.autograd.grad(smoothed(weights, batch), list(weights.values()))
        theta = [value.detach().double().numpy() for value in weights.values()]
        slopes = [gradient.double().numpy() for gradient in gradients]
        length = np.sqrt(sum(((t * g) ** 2).sum() for t, g in zip(theta, slopes, strict=True)))
        worst = {
            name: weights[name] + torch.from_numpy(np.asarray(rho * t**2 * g / length)).float()
            for name, t, g in zip(weights, theta, slopes, strict=True)
        }
        return smoothed(worst, batch)

    assert distance(found.edit.vector, trained(infected, [loss] * 2, names, SGD(), 0.05)) < NEAR
    assert found.record.samples == 2 * 2 * 8
