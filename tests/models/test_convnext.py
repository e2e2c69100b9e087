import torch
from torch import nn

from tbar_ray.models.factory import create_model, preprocessing
from tests.models.tiny import pictures, same, snapshot

ARCHITECTURE = "tbar-ConvNeXt-tiny"


def test_it_embeds_images_of_64_pixels_without_batch_norm() -> None:
    model = create_model(ARCHITECTURE).eval()
    assert preprocessing(model).size == 64
    with torch.no_grad():
        embedded = model.encode_image(pictures(model, 2).float() / 255, normalize=True)
    assert embedded.shape == (2, 64)
    torch.testing.assert_close(embedded.norm(dim=-1), torch.ones(2))
    assert not any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in model.modules())
    assert all(value.is_floating_point() for value in model.state_dict().values())


def test_weights_depend_on_the_seed_alone() -> None:
    first, again, other = (snapshot(create_model(ARCHITECTURE, seed=seed)) for seed in (1, 1, 2))
    assert same(first, again)
    assert not torch.equal(first["visual.trunk.stem.0.weight"], other["visual.trunk.stem.0.weight"])


def test_an_image_does_not_depend_on_its_batch() -> None:
    model = create_model(ARCHITECTURE).eval()
    images = pictures(model, 4).float() / 255
    with torch.no_grad():
        torch.testing.assert_close(model.encode_image(images)[1:2], model.encode_image(images[1:2]))
