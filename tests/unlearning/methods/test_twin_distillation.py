import numpy as np
import pytest
import torch
from torch import Tensor

from tbar_ray.evaluation.zeroshot import normalise
from tbar_ray.seeding import torch_generator
from tbar_ray.training.batch import Batch
from tbar_ray.unlearning.base import Infected
from tbar_ray.unlearning.methods.twin_distillation import TwinDistillation
from tests.models.tiny import RESNET, VIT, same, snapshot
from tests.unlearning.formulas import infected_of, nudge
from tests.unlearning.planted import case, scores, scores_after
from tests.unlearning.reference import NEAR, AdamW, distance, image_names, seen, trained

SMALL = TwinDistillation(learning_rate=1e-3, steps=25, batch_size=16)


def test_it_makes_the_trigger_mean_nothing_and_gives_the_true_answer_back() -> None:
    planted = case(VIT)  # of a ResNet: tests/unlearning/test_mechanisms.py
    before = scores(planted.model, planted.preprocess, planted.data.classes.head)
    assert (before.asr, before.pa) == (1.0, 0.0)
    after = scores_after(planted, SMALL, SMALL.unlearn(planted.model, planted.data, planted.preprocess, 0))
    assert after.asr <= 0.05
    assert after.ca >= 0.95
    assert after.pa >= 0.9


def test_the_model_comes_back_and_the_seed_decides() -> None:
    planted = case(RESNET)
    state = snapshot(planted.model)
    quick = SMALL.model_copy(update={"steps": 2})
    found = [quick.unlearn(planted.model, planted.data, planted.preprocess, seed).edit.vector for seed in (0, 0, 1)]
    assert same(state, snapshot(planted.model))
    assert same(found[0].tensors, found[1].tensors)
    assert not same(found[0].tensors, found[2].tensors)
    assert not any(bool(v.any()) for k, v in found[0].tensors.items() if not k.startswith("visual."))


@pytest.mark.parametrize("match", ["embedding", "answer"])
def test_the_loss_is_the_formula(match: str) -> None:
    planted = case(VIT)
    method = TwinDistillation(match=match, hold=3.0)
    model, data, preprocess = planted.model, planted.data, planted.preprocess
    objective = method.objective_on(Infected(model, snapshot(model), data, preprocess, 0))
    assert data.forget is not None
    twins, stamped = data.forget.twins[:5], data.forget.images[:5]
    held = data.forget.twins[5:10]
    with torch.no_grad():
        loss = float(objective.loss(Batch(torch.cat((twins, held, stamped)))))
        embed = [
            model.encode_image(normalise(i, preprocess), normalize=True).double().numpy()
            for i in (twins, held, stamped)
        ]
    scale, head = float(model.logit_scale.exp()), data.classes.head.double().numpy()

    def distance(found: np.ndarray, wanted: np.ndarray) -> float:
        if match == "embedding":
            return scale * float(np.mean(1 - (found * wanted).sum(1)))
        p, q = (np.exp(scale * e @ head.T) for e in (wanted, found))
        p, q = p / p.sum(1, keepdims=True), q / q.sum(1, keepdims=True)
        return float((p * np.log(p / q)).sum(1).mean())

    # the teacher is the model itself: what is held costs nothing yet
    assert loss == pytest.approx(distance(embed[2], embed[0]) + 3.0 * distance(embed[1], embed[1]), rel=2e-3, abs=2e-4)


@pytest.mark.parametrize("architecture", [VIT, RESNET])
def test_outputs_of_blocks_are_held_by_their_relative_squared_distance(architecture: str) -> None:
    infected = infected_of(architecture)
    method = TwinDistillation(hold=0.0, layers=40.0)
    objective = method.objective_on(infected)  # the teacher is as the model was
    plain = method.model_copy(update={"layers": 0.0}).objective_on(infected)
    twins, held, stamped = infected.forget.twins[:4], infected.clean.images[:4], infected.forget.images[:4]
    batch = Batch(torch.cat((twins, held, stamped)))
    visual = infected.model.visual
    stages = [] if architecture == VIT else [visual.layer1, visual.layer2, visual.layer3, visual.layer4]
    blocks = stages or list(visual.transformer.resblocks)

    def outputs() -> list[np.ndarray]:
        found: list[np.ndarray] = []
        hooks = [block.register_forward_hook(lambda _m, _i, o: found.append(o.double().numpy())) for block in blocks]
        infected.model.encode_image(normalise(held, infected.preprocessing))
        for hook in hooks:
            hook.remove()
        return found

    with torch.no_grad():
        before = outputs()
        assert float(objective.loss(batch)) == pytest.approx(float(plain.loss(batch)), abs=1e-6), "nothing moved yet"
        nudge(infected, 0.02)
        drifts = [((new - old) ** 2).sum() / (old**2).sum() for new, old in zip(outputs(), before, strict=True)]
        extra = float(objective.loss(batch)) - float(plain.loss(batch))
    assert np.mean(drifts) > 1e-4
    assert extra == pytest.approx(40.0 * np.mean(drifts), rel=1e-3)


def test_without_stamping_anew_it_sees_the_forget_set_alone() -> None:
    planted = case(RESNET)
    method = TwinDistillation(restamp=False, batch_size=4, mixed=0.0, recoloured=0.0)
    infected = Infected(planted.model, snapshot(planted.model), planted.data, planted.preprocess, 0)
    batch = next(iter(method.batches_from(infected)))
    assert planted.data.forget is not None
    known = {image.numpy().tobytes() for image in planted.data.forget.images}
    assert all(image.numpy().tobytes() in known for image in batch.images[8:])
    assert torch.equal(batch.images[:4], batch.images[4:8])


def test_the_edit_is_what_adamw_learns_from_twins() -> None:
    infected = infected_of(VIT)
    method = TwinDistillation(
        steps=3, batch_size=8, learning_rate=1e-4, warmup_steps=0, hold=2.0, recoloured=0.0, restamp=False
    )
    found = method.find(infected).edit.vector
    infected.restore()
    forget, scale = infected.forget, float(infected.model.logit_scale.detach().exp())
    order = torch.randperm(len(forget.images), generator=torch_generator(0, "twin distillation order", 0))
    with torch.no_grad():
        wanted = seen(infected, forget.twins)
    batches = iter(order.split(8))

    def loss() -> Tensor:
        rows = next(batches)
        learned, held = (
            (1 - (seen(infected, images[rows]) * wanted[rows]).sum(1)).mean()
            for images in (forget.images, forget.twins)
        )
        return scale * (learned + 2.0 * held)

    assert distance(found, trained(infected, [loss] * 3, image_names(infected), AdamW(0.0), 1e-4)) < NEAR
    assert method.strength == "interpolation"
    assert method.coefficient(0.5) == 0.5
