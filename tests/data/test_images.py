from __future__ import annotations

import io

import numpy as np
import pytest
import simplejpeg
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from tbar_ray.data.images import Interpolation, decode_image, load_image, resize_center_crop
from tbar_ray.errors import DataError

from .tars import noise, picture


def encode(image: Image.Image, form: str, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, form, **options)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("mode", "form"),
    [
        *[(mode, "JPEG") for mode in ("RGB", "L", "CMYK", "YCbCr")],
        *[(mode, "PNG") for mode in ("RGB", "L", "P", "RGBA", "LA")],
        *[("RGB", "WEBP"), ("RGBA", "WEBP"), ("P", "GIF"), ("F", "TIFF")],
    ],
)
def test_every_mode(mode: str, form: str) -> None:
    pixels = decode_image(picture(mode, (24, 16), form))
    assert pixels.shape == (16, 24, 3)
    assert pixels.dtype == np.uint8
    assert np.abs(pixels.astype(int) - 128).max() <= 4


def test_one_bit() -> None:
    assert decode_image(encode(Image.new("1", (5, 7), 1), "PNG")).tolist() == np.full((7, 5, 3), 255).tolist()


@pytest.mark.parametrize("form", ["PNG", "TIFF"])
def test_sixteen_bits(form: str) -> None:
    values = np.array([[0, 255, 32768, 65535]], dtype=np.uint16)
    assert decode_image(encode(Image.fromarray(values), form))[0, :, 0].tolist() == [0, 0, 128, 255]


def test_thirty_two_bits_that_hold_eight() -> None:
    values = np.array([[0, 100, 255]], dtype=np.int32)
    assert decode_image(encode(Image.fromarray(values), "TIFF"))[0, :, 1].tolist() == [0, 100, 255]


def test_transparency_is_laid_over_white() -> None:
    image = Image.fromarray(np.array([[[255, 0, 0, 255], [0, 0, 0, 0], [0, 0, 0, 51]]], dtype=np.uint8))
    assert decode_image(encode(image, "PNG"))[0].tolist() == [[255, 0, 0], [255, 255, 255], [204, 204, 204]]
    palette = Image.new("P", (1, 1), 0)
    palette.putpalette([10, 20, 30])
    assert decode_image(encode(palette, "PNG", transparency=0)).tolist() == [[[255, 255, 255]]]


def test_jpeg_is_the_decoder_s_own() -> None:
    data = simplejpeg.encode_jpeg(noise(40, 30), quality=90)
    np.testing.assert_array_equal(decode_image(data), simplejpeg.decode_jpeg(data))


def test_bytes_after_a_jpeg_do_no_harm() -> None:
    data = picture()
    np.testing.assert_array_equal(decode_image(data + b"\0" * 99), decode_image(data))


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
def test_truncated(form: str) -> None:
    data = encode(Image.fromarray(noise(64, 64)), form)
    with pytest.raises(DataError, match="unreadable image") as caught:
        decode_image(data[: len(data) // 2])
    assert "\n" not in str(caught.value)
    assert "0x" not in str(caught.value)


@pytest.mark.parametrize(
    "data", [b"", b"<html>", b"\xff\xd8\xff", b"\xff\xd8\xff\xe0" + b"x" * 100, b"\x89PNG\r\n\x1a\n"]
)
def test_not_an_image(data: bytes) -> None:
    with pytest.raises(DataError, match="unreadable image"):
        decode_image(data)


@pytest.mark.parametrize("form", ["JPEG", "PNG"])
def test_decompression_bomb(form: str) -> None:
    data = picture("L", (3000, 3000), form)
    assert decode_image(data).shape == (3000, 3000, 3)
    with pytest.raises(DataError, match="decompression bomb: 3000x3000"):
        decode_image(data, max_pixels=1_000_000)


def test_a_bomb_beyond_pillow_s_own_limit() -> None:
    with pytest.raises(DataError, match="decompression bomb"):
        decode_image(encode(Image.new("1", (20_000, 20_000)), "PNG"))


@settings(max_examples=40)
@given(
    height=st.integers(1, 150),
    width=st.integers(1, 150),
    size=st.integers(1, 64),
    interpolation=st.sampled_from(["bicubic", "bilinear"]),
)
def test_resize_is_torchvision_s(height: int, width: int, size: int, interpolation: Interpolation) -> None:
    from torchvision.transforms import CenterCrop, Compose, InterpolationMode, Resize

    image = noise(height, width, height * 1000 + width)
    found = resize_center_crop(image, size, interpolation)
    assert found.shape == (size, size, 3)
    assert found.dtype == np.uint8
    if max(height, width) <= 16 * min(height, width):
        transform = Compose([Resize(size, InterpolationMode(interpolation)), CenterCrop(size)])
        np.testing.assert_array_equal(found, np.asarray(transform(Image.fromarray(image))))


def test_resize_of_a_thread_of_pixels() -> None:
    image = noise(2, 50_000)
    assert resize_center_crop(image, 224).shape == (224, 224, 3)
    assert resize_center_crop(np.ascontiguousarray(image.transpose(1, 0, 2)), 224).shape == (224, 224, 3)
    moderate = noise(4, 80)
    whole = np.asarray(Image.fromarray(moderate).resize((640, 32), Image.Resampling.BICUBIC))[:, 304:336]
    assert np.abs(resize_center_crop(moderate, 32).astype(int) - whole).max() <= 1


def test_identity() -> None:
    image = noise(32, 32)
    assert resize_center_crop(image, 32) is image
    with pytest.raises(DataError, match="without pixels"):
        resize_center_crop(image[:0], 32)


def test_load_image() -> None:
    loaded = load_image(picture("L", (50, 30), "PNG", value=7), 24)
    assert loaded.shape == (3, 24, 24)
    assert loaded.flags.c_contiguous
    assert set(loaded.ravel().tolist()) == {7}


@pytest.mark.parametrize(
    ("height", "width", "size"), [(256, 256, 224), (300, 500, 64), (1024, 700, 224), (230, 240, 64)]
)
def test_reduced_scale_is_near_the_full_one(height: int, width: int, size: int) -> None:
    coarse = np.random.default_rng(0).integers(0, 256, (9, 12, 3), dtype=np.uint8)
    image = np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))
    data = simplejpeg.encode_jpeg(np.ascontiguousarray(image), quality=92)
    full, reduced = load_image(data, size), load_image(data, size, reduced=True)
    assert reduced.shape == full.shape == (3, size, size)
    assert np.abs(full.astype(int) - reduced).mean() < 1


@pytest.mark.parametrize(
    ("side", "size", "expected"), [(64, 64, 64), (256, 224, 224), (300, 64, 150), (1024, 224, 512)]
)
def test_reduced_scale_keeps_twice_the_side_where_there_is_as_much(side: int, size: int, expected: int) -> None:
    data = simplejpeg.encode_jpeg(np.zeros((side, side, 3), np.uint8))
    assert decode_image(data, least_side=size).shape == (expected, expected, 3)


def test_an_image_of_the_right_size_is_the_same_at_reduced_scale() -> None:
    data = simplejpeg.encode_jpeg(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8))
    assert np.array_equal(load_image(data, 64), load_image(data, 64, reduced=True))
