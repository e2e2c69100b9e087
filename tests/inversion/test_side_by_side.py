from collections.abc import Sequence

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from tbar_ray.inversion.side_by_side import TEMPERATURE, SideBySide, rms
from tbar_ray.inversion.subject import batches
from tests.inversion import encoders
from tests.inversion.planted import CLASSES, SIDE, TARGET, subject


def added(images: Tensor, parts: Sequence[Tensor]) -> Tensor:
    return (images[None] + parts[0][:, None]).clamp(0, 1)


@pytest.mark.parametrize("at_once", [1, 20, 512])
def test_gradients_and_answers_are_those_of_every_class_alone_however_many_run_at_once(at_once: int) -> None:
    planted = subject("clean")
    images = planted.images[:5].float() / 255
    noise = (0.01 * torch.randn(3, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))).requires_grad_(True)
    targets = torch.tensor([4, 0, 7])
    with planted.frozen():
        answers = SideBySide(planted, added, at_once).backward(images, [noise], targets)
    assert noise.grad is not None
    for row, target in enumerate(targets.tolist()):
        alone = noise[row].detach().requires_grad_(True)
        logits = functional.normalize(planted.model.encode_image((images + alone).clamp(0, 1))) / TEMPERATURE  # type: ignore[operator]
        loss = functional.cross_entropy(logits, torch.full((5,), target))
        loss.backward()  # type: ignore[no-untyped-call]
        torch.testing.assert_close(noise.grad[row], alone.grad)
        torch.testing.assert_close(answers.losses[row], loss.detach())
        assert answers.rates[row] == (logits.argmax(1) == target).float().mean()


def test_a_perturbation_is_judged_by_rate_and_margin() -> None:
    made = encoders.subject(8.0)
    floats = made.images.float() / 255
    noise = torch.zeros(2, 3, 16, 16)
    noise[0, :, 12:, 12:] = 1.0
    target = encoders.TARGET
    found = SideBySide(made, added, 100).judge(floats, [noise], torch.tensor([target, target]))
    with made.frozen():
        cosines = made.embed(floats) @ made.classes.T
    assert found.rates[0] == 1.0
    own = cosines[:, target]
    others = torch.cat((cosines[:, :target], cosines[:, target + 1 :]), 1).amax(1)
    assert float(found.rates[1]) == pytest.approx(float((own > others).float().mean()))
    assert float(found.margins[1]) == pytest.approx(float((own - others).mean()), abs=1e-6)


def test_every_perturbation_is_judged_by_its_own_class() -> None:
    planted = subject("clean")
    images = planted.images[:16].float() / 255
    noise = 0.4 * planted.model.patterns.detach()  # type: ignore[operator]
    search = SideBySide(planted, added, 32)
    right = search.judge(images, [noise], torch.arange(CLASSES))
    wrong = search.judge(images, [noise], torch.arange(CLASSES).roll(1))
    assert (right.rates == 1).all()
    assert (right.margins > 0.5).all()
    assert (wrong.rates == 0).all()
    assert (wrong.margins < -0.5).all()


def test_descent_stays_within_the_ball_and_gets_to_the_class() -> None:
    planted = subject("clean")
    images = planted.images.float() / 255
    told: list[float] = []
    start, targets = torch.full((2, 3, SIDE, SIDE), 1e-3), torch.tensor([TARGET, 5])
    search = SideBySide(planted, added, 512)
    with planted.frozen():
        found = search.descend(batches(images, 16, 0, "test"), start, targets, 0.2, 12, told.append)
    torch.testing.assert_close(rms(found), torch.full((2, 1, 1, 1), 0.2))
    assert (search.judge(images, [found], targets).rates == 1).all()
    assert len(told) == 12
    assert told[-1] < told[0] / 10
