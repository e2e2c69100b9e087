"""Image bytes to pixels: robust decoding of web images, and CLIP's resize and centre crop."""

from __future__ import annotations

import io
from typing import Literal

import numpy as np
import simplejpeg
from numpy.typing import NDArray
from PIL import Image

from tbar_ray.errors import DataError, one_line

Interpolation = Literal["bicubic", "bilinear"]
_FILTERS = {"bicubic": Image.Resampling.BICUBIC, "bilinear": Image.Resampling.BILINEAR}
_DIRECT = frozenset({"Gray", "YCbCr", "RGB"})  # JPEG colour spaces that simplejpeg turns into RGB


def decode_image(data: bytes, *, max_pixels: int = 100_000_000, least_side: int = 0) -> NDArray[np.uint8]:
    """Decode an image of any common format and mode.

    EXIF orientation is ignored, as in CLIP's own loaders. Of an animation the first frame is used.
    Transparent pixels are composited over white.

    Args:
        data: The file's bytes.
        max_pixels: Images with more pixels are refused before they are decoded.
        least_side: If positive, a JPEG may be decoded at reduced size: the JPEG library scales by eighths while
            decoding, which is cheaper than decoding and resizing. Each side keeps at least this many pixels, and at
            least twice as many if the image has them, so that a subsequent resize still filters.

    Returns:
        uint8 [H, W, 3], RGB in 0..255.

    Raises:
        DataError: Too many pixels, or bytes that are not a complete, readable image.
    """
    if not data:
        raise DataError("unreadable image: the file is empty")
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
    except Exception as error:  # Pillow's plugins raise many kinds of exception on damaged bytes
        raise DataError(f"unreadable image: {_reason(error)}") from error


def resize_center_crop(
    image: NDArray[np.uint8], size: int, interpolation: Interpolation = "bicubic"
) -> NDArray[np.uint8]:
    """Resize the shorter side to `size` (antialiased) and crop the centre square, as in CLIP's preprocessing.

    Args:
        image: uint8 [H, W, 3].
        size: Side of the square, in pixels.
        interpolation: PIL's filter.

    Returns:
        uint8 [size, size, 3]; `image` itself if it already has that shape.
    """
    height, width = image.shape[:2]
    if height == width == size:
        return image
    if height == 0 or width == 0:
        raise DataError(f"image without pixels: {height}x{width}")
    short = min(height, width)
    resized_height, resized_width = (size * side // short for side in (height, width))
    # torchvision's CenterCrop rounds halves to even, as does round().
    top, left = round((resized_height - size) / 2), round((resized_width - size) / 2)
    picture, resample = Image.fromarray(image), _FILTERS[interpolation]
    if max(height, width) <= 16 * short:
        resized = picture.resize((resized_width, resized_height), resample)
        return np.array(resized.crop((left, top, left + size, top + size)))
    # A very long, thin image would be enlarged to gigabytes: compute only the centre square.
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
    """Decode an image, resize it and crop the centre square.

    Args:
        data: The file's bytes.
        size: Side of the square, in pixels.
        interpolation: PIL's filter.
        reduced: Let the JPEG library downscale while decoding, and resize only the rest. Levels differ slightly from
            CLIP's own preprocessing: for training, not for evaluation.
        out: Destination of the pixels, uint8 [size, size, 3], contiguous.

    Returns:
        uint8 [size, size, 3], RGB in 0..255; `out` if it is given.

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
    """As `load_pixels`, but channels first: uint8 [3, size, size], contiguous."""
    return np.ascontiguousarray(load_pixels(data, size, interpolation, reduced=reduced).transpose(2, 0, 1))


def _decode_jpeg(data: bytes, max_pixels: int, least_side: int) -> NDArray[np.uint8] | None:
    """Pixels of a JPEG, or None if only Pillow can read it (CMYK) or explain the damage."""
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
    """Decode a JPEG of exactly the shape of `out` straight into `out`; false if `data` is not one."""
    if data[:3] != b"\xff\xd8\xff":
        return False
    try:
        # simplejpeg refuses an image that does not fit before it decodes anything.
        return bool(simplejpeg.decode_jpeg(data, colorspace="RGB", buffer=out).shape == out.shape)
    except ValueError:
        return False


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):  # 16 bits: convert() would clip at 255 and give a white image
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
    text = one_line(error)
    return text.split(" <_io.BytesIO")[0]  # Pillow appends the buffer's address
