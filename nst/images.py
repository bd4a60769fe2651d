"""Pictures in and out: decode whatever a person drops, as upright sRGB; PIL <-> tensor; resize."""

from __future__ import annotations

import io
import os
import warnings

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError
from torch import Tensor

from nst.settings import LIMITS

Source = Image.Image | str | os.PathLike[str]

_SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))


def load(source: Source, name: str = "picture") -> Image.Image:
    """A picture or a path to one as upright sRGB, mode RGB, transparency composited on white.

    `ValueError` names the picture (`name`) and says what to do when it cannot be read or is too large or too small.
    """
    picture = source if isinstance(source, Image.Image) else _open(source, name)
    _check_shape(picture, name)
    try:
        upright = ImageOps.exif_transpose(picture)
    except Exception as error:  # Pillow's decoders raise whatever a damaged file makes them raise
        raise _damaged(name) from error
    if upright.mode[0] in "IF":
        return _from_numbers(upright)
    return _on_white(_to_srgb(upright))


def _open(path: str | os.PathLike[str], name: str) -> Image.Image:
    """Read the header only; no message shows more of the path than the file's name."""
    if not isinstance(path, (str, os.PathLike)):
        raise ValueError(f"the {name} is a {type(path).__name__}; give a PIL image or the path of a picture")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # our own limit is checked next
            return Image.open(path)
    except UnidentifiedImageError as error:
        raise ValueError(f"the {name} is not a picture this program reads; save it as PNG or JPEG") from error
    except Image.DecompressionBombError as error:
        raise ValueError(f"the {name} is far over {LIMITS.megapixels:g} megapixels; make it smaller") from error
    except Exception as error:
        if isinstance(error, OSError) and error.strerror:
            file = os.path.basename(path)
            raise ValueError(f"the {name} {file!r} cannot be opened ({error.strerror}); check the path") from error
        raise _damaged(name) from error


def _damaged(name: str) -> ValueError:
    return ValueError(f"the {name} is damaged or incomplete; save it as PNG or JPEG and try again")


def _check_shape(image: Image.Image, name: str) -> None:
    width, height = image.size  # known from the header: nothing large is allocated yet
    if width * height > LIMITS.megapixels * 1e6:
        megapixels = width * height / 1e6
        raise ValueError(
            f"the {name} has {megapixels:.0f} megapixels; the limit is {LIMITS.megapixels:g}, make it smaller"
        )
    if min(width, height) < LIMITS.smallest_side:
        least = LIMITS.smallest_side
        raise ValueError(
            f"the {name} is {width} x {height} px; both sides need {least} px at least, choose a larger one"
        )
    if max(width, height) > LIMITS.aspect * min(width, height):
        raise ValueError(f"the {name} is {width} x {height} px, longer than {LIMITS.aspect:g} to 1; crop it")


def _from_numbers(image: Image.Image) -> Image.Image:
    """16-bit, 32-bit and float greyscale -> RGB: white is the largest of 1, 255 and 65535 that the values need."""
    values = np.nan_to_num(np.asarray(image, dtype=np.float32), posinf=np.nan)
    if image.mode.startswith("I;16"):
        white = 65535.0
    else:
        white = next((w for w in (1.0, 255.0, 65535.0) if np.nanmax(values) <= w), float(np.nanmax(values)))
    values = np.nan_to_num(values)
    grey = np.rint(values.clip(0, white) * (255.0 / white)).astype(np.uint8)
    return Image.fromarray(grey).convert("RGB")


def _to_srgb(image: Image.Image) -> Image.Image:
    """Convert by the embedded ICC profile, to RGB or, with transparency, to RGBA. An unusable profile is ignored."""
    has_alpha = image.has_transparency_data
    profile = image.info.get("icc_profile")
    if profile and image.mode == "P":
        image = image.convert("RGBA" if has_alpha else "RGB")
    if profile and image.mode in ("RGB", "RGBA", "CMYK", "L"):
        colours = image.convert("RGB") if image.mode == "RGBA" else image
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            converted = ImageCms.profileToProfile(colours, source, _SRGB, outputMode="RGB")
        except (ImageCms.PyCMSError, OSError):
            pass
        else:
            if has_alpha:
                converted.putalpha(image.convert("RGBA").getchannel("A"))
            return converted
    return image.convert("RGBA" if has_alpha else "RGB")


def _on_white(image: Image.Image) -> Image.Image:
    if image.mode != "RGBA":
        return image
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")


def result_size(picture: Image.Image, longer_px: int) -> tuple[int, int]:
    """(height, width) of the picture scaled to this longer side; `ValueError` if the shorter becomes too small."""
    longer, shorter = max(picture.size), min(picture.size)
    shorter_px = round(longer_px * shorter / longer)
    if shorter_px < LIMITS.smallest_side:
        least = -(-LIMITS.smallest_side * longer // shorter)
        choose = f"choose a size of {least} px or more, or " if least <= LIMITS.size else ""
        shape = f"{picture.width} x {picture.height}"
        raise ValueError(
            f"size={longer_px} px leaves only {shorter_px} px for the shorter side of a {shape} photo; "
            f"{choose}crop the photo"
        )
    return (shorter_px, longer_px) if picture.width >= picture.height else (longer_px, shorter_px)


def style_size(picture: Image.Image, longer_px: int) -> tuple[int, int]:
    """(height, width) with this longer side, but no side under the smallest that the network can see."""
    scale = max(longer_px / max(picture.size), LIMITS.smallest_side / min(picture.size))
    return round(picture.height * scale), round(picture.width * scale)


def shrunk_size(image: Tensor, scale: float, least_px: int) -> tuple[int, int]:
    """(height, width) of (1, 3, H, W) shrunk by `scale`, or by less where a side would fall under `least_px`."""
    height, width = image.shape[-2:]
    scale = max(scale, least_px / min(height, width))
    return round(height * scale), round(width * scale)


def scaled(picture: Image.Image, size: tuple[int, int]) -> Image.Image:
    """The picture at (height, width), antialiased; large uploads are halved first, which saves time and memory."""
    return picture.resize(size[::-1], Image.Resampling.LANCZOS, reducing_gap=3.0)


def to_tensor(picture: Image.Image) -> Tensor:
    """PIL RGB -> sRGB (1, 3, H, W) float32 in [0, 1]."""
    values = torch.from_numpy(np.array(picture, dtype=np.uint8))  # (H, W, 3), a copy
    return values.permute(2, 0, 1).unsqueeze(0).float().div(255)


def to_picture(image: Tensor) -> Image.Image:
    """sRGB (1, 3, H, W) in [0, 1] -> PIL RGB, rounded to 8 bits."""
    values = image.detach()[0].clamp(0, 1).mul(255).round().byte()
    return Image.fromarray(values.permute(1, 2, 0).contiguous().cpu().numpy())


def resize(image: Tensor, size: tuple[int, int]) -> Tensor:
    """(1, 3, H, W) -> (1, 3, *size), antialiased bicubic, clamped to [0, 1] because bicubic overshoots."""
    if image.shape[-2:] == size:
        return image.clone()
    return F.interpolate(image, size=size, mode="bicubic", antialias=True, align_corners=False).clamp(0, 1)


def cover(image: Tensor, size: tuple[int, int]) -> Tensor:
    """Scale (1, 3, H, W) to cover `size` and cut off what stands out, centred -> (1, 3, *size)."""
    height, width = size
    scale = max(height / image.shape[-2], width / image.shape[-1])
    scaled = resize(image, (max(height, round(image.shape[-2] * scale)), max(width, round(image.shape[-1] * scale))))
    top, left = (scaled.shape[-2] - height) // 2, (scaled.shape[-1] - width) // 2
    return scaled[..., top : top + height, left : left + width].contiguous()
