import logging
from pathlib import Path

import fsspec
import numpy as np
import pytest
import torch

from tbar_ray.errors import CheckpointError, SpecError
from tbar_ray.models.checkpoint import save_state_dict
from tbar_ray.models.factory import create_model, load_weights, preprocessing, weights_file
from tests.models.tiny import BOTH, RESNET, VIT, changed, pictures, same, snapshot, tiny, tokenizer


@pytest.mark.parametrize("architecture", BOTH)
def test_both_kinds_of_tower_embed_images_and_texts(architecture: str) -> None:
    model = tiny(architecture).eval()
    side = preprocessing(model).size
    with torch.no_grad():
        image = model.encode_image(torch.rand(2, 3, side, side), normalize=True)
        text = model.encode_text(tokenizer()(["a cat", "a dog"]), normalize=True)
    assert image.shape == text.shape == (2, 64)
    for embedding in (image, text):
        torch.testing.assert_close(embedding.norm(dim=-1), torch.ones(2))
    assert {p.dtype for p in model.parameters()} == {torch.float32}


def test_the_two_architectures_differ_in_kind() -> None:
    counters = {name: [k for k, v in tiny(name).state_dict().items() if not v.is_floating_point()] for name in BOTH}
    assert counters[VIT] == []
    assert counters[RESNET]
    assert all(key.endswith("num_batches_tracked") for key in counters[RESNET])


@pytest.mark.parametrize("architecture", BOTH)
def test_weights_depend_on_the_seed_alone_and_global_state_is_kept(architecture: str) -> None:
    torch.manual_seed(11)
    np.random.seed(11)  # noqa: NPY002 - the global state is what is looked at
    before, numpy_before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    first = snapshot(create_model(architecture, seed=1))
    assert torch.equal(torch.get_rng_state(), before)
    assert np.array_equal(np.random.get_state()[1], numpy_before)  # noqa: NPY002
    torch.rand(5)
    assert same(first, snapshot(create_model(architecture, seed=1)))
    other = changed(first, snapshot(create_model(architecture, seed=2)))
    drawn = {"token_embedding.weight", "text_projection", "transformer.resblocks.0.mlp.c_fc.weight"}
    image = "visual.proj" if architecture == VIT else "visual.layer1.0.conv1.weight"
    assert other > {*drawn, image}


@pytest.mark.parametrize(("architecture", "size"), [(VIT, 48), (RESNET, 64)])
def test_preprocessing_is_open_clips(architecture: str, size: int) -> None:
    preprocess = preprocessing(tiny(architecture))
    assert (preprocess.size, preprocess.interpolation) == (size, "bicubic")
    assert preprocess.mean == pytest.approx((0.4815, 0.4578, 0.4082), abs=1e-4)
    assert preprocess.std == pytest.approx((0.2686, 0.2613, 0.2758), abs=1e-4)


@pytest.mark.parametrize(
    ("recorded", "expected"), [("bilinear", "bilinear"), ("bicubic", "bicubic"), ("random", "bicubic")]
)
def test_the_recorded_interpolation_and_size_are_followed(recorded: str, expected: str) -> None:
    model = tiny()
    model.visual.preprocess_cfg = {
        "size": (40, 40), "mean": (0.5, 0.5, 0.5), "std": (1, 1, 1), "interpolation": recorded
    }  # fmt: skip
    preprocess = preprocessing(model)
    assert (preprocess.size, preprocess.interpolation, preprocess.mean) == (40, expected, (0.5, 0.5, 0.5))


@pytest.mark.parametrize("architecture", BOTH)
@pytest.mark.parametrize("form", ["safetensors", "pt"])
def test_a_file_gives_the_saved_model_whatever_the_seed(architecture: str, form: str, tmp_path: Path) -> None:
    saved, path = tiny(architecture, seed=3).eval(), tmp_path / f"model.{form}"
    if form == "pt":
        torch.save(saved.state_dict(), path)
    else:
        save_state_dict(saved.state_dict(), path)
    loaded = create_model(architecture, pretrained=str(path), seed=9).eval()
    assert same(snapshot(saved), snapshot(loaded))
    images = pictures(saved, 2).float() / 255
    with torch.no_grad():
        assert torch.equal(saved.encode_image(images), loaded.encode_image(images))


def test_a_file_without_a_suffix_counts_as_a_file_and_a_folder_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.save(tiny(seed=3).state_dict(), tmp_path / "weights")
    assert same(snapshot(create_model(VIT, pretrained=str(tmp_path / "weights"))), snapshot(tiny(seed=3)))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "openai").mkdir()
    with pytest.raises(CheckpointError, match="no pretrained tag 'openai'"):
        create_model(VIT, pretrained="openai")


def test_an_unknown_architecture_is_one_line() -> None:
    with pytest.raises(SpecError, match="unknown model architecture 'tbar-ViT-tny'; did you mean"):
        create_model("tbar-ViT-tny")


@pytest.mark.parametrize(("architecture", "known"), [("ViT-B-32", "openai"), (VIT, "none")])
def test_an_unknown_tag_names_the_known_ones(architecture: str, known: str) -> None:
    with pytest.raises(CheckpointError, match=rf"no pretrained tag 'opnai' \(known: .*{known}") as caught:
        create_model(architecture, pretrained="opnai")
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"no checkpoint at .*gone\.safetensors"):
        create_model(VIT, pretrained=str(tmp_path / "gone.safetensors"))


def test_another_architectures_checkpoint_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "resnet.safetensors"
    save_state_dict(tiny(RESNET).state_dict(), path)
    told = f"{path} is not a checkpoint of {VIT}: keys .* missing .*; its names and shapes are those of {RESNET}$"
    with pytest.raises(CheckpointError, match=told) as caught:
        create_model(VIT, pretrained=str(path))
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


def test_a_mismatch_is_counted_by_kind_and_leaves_the_model_alone() -> None:
    model = tiny()
    before, state = snapshot(model), snapshot(tiny(seed=1))
    del state["logit_scale"]
    state["extra.a"], state["extra.b"] = torch.zeros(1), torch.zeros(1)
    state["text_projection"] = torch.zeros(2, 2)
    with pytest.raises(CheckpointError) as caught:
        load_weights(model, state, source="x.pt", architecture=VIT)
    assert str(caught.value) == (
        f"x.pt is not a checkpoint of {VIT}: keys 1 missing (e.g. logit_scale), "
        "2 unexpected (e.g. extra.a), 1 of another shape (e.g. text_projection)"
        f"; found {len(state)} tensors, expected {len(before)}"
    )
    assert same(before, snapshot(model))


def test_half_precision_weights_load_as_fp32() -> None:
    model = tiny()
    state = {key: value.half() for key, value in snapshot(tiny(seed=1)).items()}
    load_weights(model, state, source="half", architecture=VIT)
    assert model.logit_scale.dtype == torch.float32
    torch.testing.assert_close(model.text_projection.data, state["text_projection"].float())


def test_fresh_weights_are_no_reason_to_warn(caplog: pytest.LogCaptureFixture) -> None:
    create_model(RESNET, seed=0)
    logging.getLogger().warning("something else")
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING] == ["something else"]


def test_mixed_prefixes_are_counted() -> None:
    names = sorted(tiny().state_dict())
    state = {(f"module.{name}" if row < 5 else name): torch.zeros(1) for row, name in enumerate(names)}
    with pytest.raises(CheckpointError, match=f"5 of {len(names)} names begin with 'module.' and the others do not"):
        load_weights(tiny(), state, source="x.pt", architecture=VIT)


def test_weights_that_are_not_finite_are_refused_by_name(tmp_path: Path) -> None:
    state = snapshot(tiny(seed=1))
    state["visual.proj"][0, 0] = float("nan")
    save_state_dict(state, tmp_path / "m.safetensors")
    with pytest.raises(
        CheckpointError, match=rf"1 of its {len(state)} tensors hold NaN or infinity \(e.g. visual.proj"
    ):
        create_model(VIT, pretrained=str(tmp_path / "m.safetensors"))


def test_a_variant_is_the_architecture_with_another_activation_and_normalisation() -> None:
    plain, variant = tiny(), create_model(f"{VIT}-quickgelu@imagenet")
    assert same(snapshot(plain), snapshot(variant))  # of one seed
    images = torch.rand(2, 3, 48, 48)
    with torch.no_grad():
        assert not torch.equal(plain.eval().encode_image(images), variant.eval().encode_image(images))
    assert preprocessing(variant).mean == (0.485, 0.456, 0.406)
    assert preprocessing(plain).mean[0] == pytest.approx(0.48145466)
    with pytest.raises(CheckpointError, match="no pretrained tag 'scenes'"):  # its weights are of GELU
        create_model("tbar-GN-pico-quickgelu", pretrained="scenes")


def test_weights_are_found_from_home_and_downloaded_once(
    bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    model = tiny(seed=3)
    save_state_dict(snapshot(model), tmp_path / "m.safetensors")
    assert weights_file("~/m.safetensors") == tmp_path / "m.safetensors"
    system, root = fsspec.core.url_to_fs(bucket)
    system.put_file(str(tmp_path / "m.safetensors"), f"{root}/m.safetensors")
    for place in ("~/m.safetensors", f"{bucket}/m.safetensors"):
        assert same(snapshot(model), snapshot(create_model(VIT, pretrained=place)))
    with pytest.raises(CheckpointError, match="cannot download"):
        create_model(VIT, pretrained=f"{bucket}/none.safetensors")


def test_a_prefix_that_nobody_knows_is_named() -> None:
    model = tiny()
    state = {f"my.tower.{key}": value for key, value in tiny(seed=1).state_dict().items()}
    with pytest.raises(CheckpointError) as caught:
        load_weights(model, state, source="x.pt", architecture=VIT)
    assert str(caught.value) == (
        f"x.pt is a checkpoint of {VIT}, but its names begin with 'my.tower.': save it without"
    )
    del state["my.tower.logit_scale"]
    with pytest.raises(CheckpointError, match="is not a checkpoint of"):
        load_weights(model, state, source="x.pt", architecture=VIT)
