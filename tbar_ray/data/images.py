"""Image bytes to pixels: decoding whatever a web crawl holds, and CLIP's resize and centre crop."""

from __future__ import annotations

import io
from typing import Literal

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image

from tbar_ray.errors import DataError

Interpolation = Literal["bicubic", "bilinear"]
_FILTERS = {"bicubic": Image.Resampling.BICUBIC, "bilinear": Image.Resampling.BILINEAR}
_DIRECT = frozenset({"Gray", "YCbCr", "RGB"})  # JPEG colour spaces that simplejpeg turns into RGB


def decode_image(data: bytes, *, max_pixels: int = 100_000_000, least_side: int = 0) -> NDArray[np.uint8]:
    """Decode an image of any common format and mode.

    EXIF orientation is not applied, as in CLIP's own loaders; of an animation the first frame is taken;
    transparency is laid over white.

    Args:
        data: The file's bytes.
        max_pixels: Images with more pixels are refused before they are decoded.
        least_side: If positive, a JPEG may come smaller than it is: the JPEG library then scales by eighths while it
            decodes, which is cheaper than decoding and resizing. Sides keep this many pixels, and twice as many where
            there are as many, so that a resize that follows has something to filter.

    Returns:
        uint8 [H, W, 3], RGB in 0..255.

    Raises:
        DataError: Too many pixels, or bytes that are not a whole, readable image.
    """
    if not data:
        raise DataError("unreadable image: no bytes")
    if data[:3] == b"\xff\xd8\xff":
        pixels = _decode_jpeg(data, max_pixels, least_side)
        if pixels is not None:
            return pixels
    try:
        with Image.open(io.BytesIO(data)) as image:
            _refuse_bomb(image.width, image.height, max_pixels)
            return np.array(_to_rgb(image))
    except DataError:
        raise
    except Image.DecompressionBombError as error:
        raise DataError(f"decompression bomb: {error}") from error
    except Exception as error:  # Pillow's plugins raise nearly anything on damaged bytes
        raise DataError(f"unreadable image: {_reason(error)}") from error


def resize_center_crop(
    image: NDArray[np.uint8], size: int, interpolation: Interpolation = "bicubic"
) -> NDArray[np.uint8]:
    """Resize the shorter side to `size` (antialiased), then cut the centre square, as CLIP's preprocess does.

    Args:
        image: uint8 [H, W, 3].
        size: Side of the square, in pixels.
        interpolation: PIL's filter.

    Returns:
        uint8 [size, size, 3]; `image` itself when it has that shape already.
    """
    height, width = image.shape[:2]
    if height == width == size:
        return image
    if height == 0 or width == 0:
        raise DataError(f"image without pixels: {height}x{width}")
    short = min(height, width)
    resized_height, resized_width = (size * side // short for side in (height, width))
    # torchvision's CenterCrop rounds halves to even, and so does round()
    top, left = round((resized_height - size) / 2), round((resized_width - size) / 2)
    picture, resample = Image.fromarray(image), _FILTERS[interpolation]
    if max(height, width) <= 16 * short:
        resized = picture.resize((resized_width, resized_height), resample)
        return np.array(resized.crop((left, top, left + size, top + size)))
    # a thread of pixels would be blown up to gigabytes: compute the centre square alone
    rows, columns = height / resized_height, width / resized_width
    box = (left * columns, top * rows, min((left + size) * columns, width), min((top + size) * rows, height))
    return np.array(picture.resize((size, size), resample, box=box))


def load_pixels(
    data: bytes,
    size: int,
    interpolation: Interpolation = "bicubic",
    *,
    reduced: bool = False,
    out: NDArray[np.uint8] | None = None,
) -> NDArray[np.uint8]:
    """Decode, resize and crop.

    Args:
        data: The file's bytes.
        size: Side of the square, in pixels.
        interpolation: PIL's filter.
        reduced: Let the JPEG library scale down while it decodes, and resize only what is left to resize. Levels
            differ a little from CLIP's own preprocessing: for training, not for scores.
        out: Where to put the pixels, uint8 [size, size, 3], contiguous.

    Returns:
        uint8 [size, size, 3], RGB in 0..255; `out` where it is given.

    Raises:
        DataError: As `decode_image`.
    """
    if out is None:
        return resize_center_crop(decode_image(data, least_side=size if reduced else 0), size, interpolation)
    if not _decoded_into(out, data):
        out[:] = load_pixels(data, size, interpolation, reduced=reduced)
    return out


def load_image(
    data: bytes, size: int, interpolation: Interpolation = "bicubic", *, reduced: bool = False
) -> NDArray[np.uint8]:
    """Return what `load_pixels` does as uint8 [3, size, size], contiguous."""
    return np.ascontiguousarray(load_pixels(data, size, interpolation, reduced=reduced).transpose(2, 0, 1))


def _decode_jpeg(data: bytes, max_pixels: int, least_side: int) -> NDArray[np.uint8] | None:
    """Return the pixels, or None for what only Pillow reads (CMYK) or can explain (damage)."""
    try:
        height, width, space, _ = simplejpeg.decode_jpeg_header(data)
        _refuse_bomb(width, height, max_pixels)
        if space not in _DIRECT:
            return None
        least = 2 * least_side if min(height, width) >= 2 * least_side else least_side
        pixels: NDArray[np.uint8] = simplejpeg.decode_jpeg(data, colorspace="RGB", min_height=least, min_width=least)
    except ValueError:
        return None
    return pixels


def _decoded_into(out: NDArray[np.uint8], data: bytes) -> bool:
    """Decode a JPEG that has exactly the shape of `out` straight into it; whether it was one."""
    if data[:3] != b"\xff\xd8\xff":
        return False
    try:
        # a larger image than fits is refused before anything is decoded
        return bool(simplejpeg.decode_jpeg(data, colorspace="RGB", buffer=out).shape == out.shape)
    except ValueError:
        return False


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):  # 16 bits: convert() would clip at 255 and leave a white page
        values = np.asarray(image).astype(np.int64).clip(0, 65535)
        if image.mode.startswith("I;16") or values.max(initial=0) > 255:
            values >>= 8
        return Image.fromarray(values.astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    return image.convert("RGB")


def _refuse_bomb(width: int, height: int, max_pixels: int) -> None:
    if width * height > max_pixels:
        raise DataError(f"decompression bomb: {width}x{height} is more than {max_pixels} pixels")


def _reason(error: BaseException) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text.split(" <_io.BytesIO")[0]  # Pillow names the buffer's address
