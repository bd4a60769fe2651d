"""Files that were made to do harm, and what files tell of their owner: sentences, flat memory, no metadata."""

from __future__ import annotations

import io
import json
import re
import struct
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
from PIL import Image, PngImagePlugin

from nst import Settings, recipe, stylise_events
from nst.events import Finished, Started, Step
from nst.images import pictures
from nst.images.decode import on_white
from nst.images.encode import FORMATS, encode
from nst.images.timelapse import ANIMATION_FORMATS, Timelapse

ROOT = Path(__file__).resolve().parents[2]
MOST_GROWTH_MIB = 40  # of peak memory while all hostile files are refused; the smallest bomb alone would need 99


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(width: int, height: int, *extra: bytes, pixels: bytes | None = None) -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    data = zlib.compress(b"\0" * (height * (1 + 3 * width))) if pixels is None else pixels
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(extra) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def saved(form: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.effect_noise((160, 120), 90).convert("RGB").save(buffer, form, **options)
    return buffer.getvalue()


def zeros(mib: int) -> bytes:
    """So many MiB of zeros, compressed a thousandfold."""
    return zlib.compress(b"\0" * (mib << 20), 9)


def tiff(width: int, height: int, tile: int, compression: int = 8) -> bytes:
    """A TIFF of one black tile; of a large tile only the beginning is there."""
    data = zlib.compress(b"\0" * min(tile, 256) ** 2)
    entries = [
        *((256, 4, width), (257, 4, height), (258, 3, 8), (259, 3, compression), (262, 3, 1), (277, 3, 1)),
        *((322, 4, tile), (323, 4, tile), (324, 4, 4096), (325, 4, len(data))),
    ]
    table = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in entries)
    head = b"II*\0" + struct.pack("<I", 8) + struct.pack("<H", len(entries)) + table + struct.pack("<I", 0)
    return head.ljust(4096, b"\0") + data


def gif(width: int, height: int) -> bytes:
    small = saved("GIF")
    return small[:6] + struct.pack("<HH", width, height) + small[10:]


def bmp(width: int, height: int) -> bytes:
    small = saved("BMP")
    return small[:18] + struct.pack("<ii", width, height) + small[26:]


@cache
def refused() -> dict[str, bytes]:
    """Hostile and broken files that hold no picture, by name."""
    jpeg = saved("JPEG")
    return {
        "PNG of 4 gigapixels": png(65_000, 65_000, pixels=zeros(1)),
        "PNG of 2 ** 31 squared": png(2**31 - 1, 2**31 - 1, pixels=b""),
        "PNG of 99 megapixels without any": png(11_000, 9_000, pixels=b""),
        "GIF with a huge canvas": gif(65_535, 65_535),
        "BMP of 4 gigapixels": bmp(65_000, 65_000),
        "BMP of negative height": bmp(64, -(2**31)),
        "TIFF with a tile of 1 gigapixel": tiff(64, 64, 32_768),
        "TIFF with tiles of 4 gigapixels": tiff(64, 64, 65_536),
        "TIFF with a raw tile of 1 gigapixel": tiff(64, 64, 32_768, 1),
        "TIFF of 4 gigapixels": tiff(65_000, 65_000, 256),
        "JPEG cut off": jpeg[: len(jpeg) // 2],
        "JPEG without its header": b"\xff\xd8\xff" + jpeg[200:],
        "WebP cut off": saved("WEBP")[:200],
        "AVIF cut off": saved("AVIF")[:300],
        "HTML": b"<!doctype html><script>alert(1)</script>" * 9,
        "SVG": b"<svg xmlns='http://www.w3.org/2000/svg'><image href='file:///etc/passwd'/></svg>",
        "EPS": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 100 100\n%%EndComments\n(/etc/passwd) run showpage\n",
        "PDF": b"%PDF-1.7\n1 0 obj <</Type/Catalog>> endobj\n%%EOF",
        "PSD": b"8BPS\0\1" + b"\0" * 6 + struct.pack(">HIIHH", 3, 100, 100, 8, 3) + b"\0" * 99,
        "FITS": b"SIMPLE  =                    T" + b" " * 2850,
        "XPM": b'/* XPM */\nstatic char *x[] = {"64 64 1 1", "a c #ffffff",' + b'"a"' * 64,
        "PPM": b"P6 64 64 255\n" + b"\0" * 64 * 64 * 3,
        "ZIP": b"PK\3\4" + b"\0" * 100,
        "nothing": b"",
        "zeros": b"\0" * 10_000,
    }


@cache
def harmless() -> dict[str, bytes]:
    """Files with a picture in them, and something else."""
    inside = io.BytesIO()
    with zipfile.ZipFile(inside, "w") as archive:
        archive.writestr("payload.html", "<script>SECRET</script>")
    bomb = b"Comment\0\0" + zeros(99)
    return {
        "PNG with a bomb in a text": png(64, 64, chunk(b"zTXt", bomb)),
        "PNG with a bomb for a profile": png(64, 64, chunk(b"iCCP", bomb)),
        "PNG with a bomb in an international text": png(64, 64, chunk(b"iTXt", b"a\0\1\0\0\0" + zeros(99))),
        "PNG and ZIP": saved("PNG") + inside.getvalue(),
        "JPEG and PDF": saved("JPEG") + b"%PDF-1.7 SECRET %%EOF",
        "GIF and JavaScript": saved("GIF") + b";/*SECRET*/alert(1)",
    }


MEASURE = """
import json, sys
from pathlib import Path
from nst.images import pictures

def peak_mib():
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) / 1024

pictures.load(sys.argv[1] + "/warm")  # what any picture needs
before, answers = peak_mib(), {}
for path in sorted(Path(sys.argv[1]).glob("*.file")):
    try:
        answers[path.stem] = str(pictures.load(path).size)
    except ValueError as error:
        answers[path.stem] = f"refused: {error}"
    answers[path.stem] += f" | {peak_mib() - before:.1f}"
print(json.dumps(answers))
"""


def test_hostile_files_end_in_a_sentence_with_flat_memory(tmp_path: Path) -> None:
    files = {**refused(), **harmless()}
    (tmp_path / "warm").write_bytes(saved("JPEG"))
    for name, content in files.items():
        assert len(content) < 300_000, "small to send"
        (tmp_path / f"{name}.file").write_bytes(content)
    command = [sys.executable, "-c", MEASURE, str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    answers = json.loads(done.stdout)
    print(*answers.items(), sep="\n")
    assert set(answers) == set(files)
    growth_mib = max(float(answer.split("| ")[1]) for answer in answers.values())
    assert growth_mib < MOST_GROWTH_MIB, answers
    for name in refused():
        assert answers[name].startswith("refused: the picture "), (name, answers[name])
        assert "; " in answers[name], "and what to do"
        assert str(tmp_path) not in answers[name]


@pytest.mark.parametrize("name", harmless())
def test_what_hides_in_a_picture_is_refused_or_left_behind(name: str) -> None:
    try:
        picture = pictures.load(harmless()[name])
    except ValueError as error:
        assert "bomb" in name, error  # noqa: PT017
        return
    for form in FORMATS:
        if form != "png16":
            content = encode(picture, form)
            assert b"SECRET" not in content
            assert b"PK\3\4" not in content


def test_a_tiff_may_have_tiles_larger_than_itself() -> None:
    assert pictures.load(tiff(64, 48, 256)).size == (64, 48)


def test_ghostscript_and_other_programs_are_out_of_reach() -> None:
    assert not {"EPS", "WMF", "PSD", "FITS", "GRIB", "HDF5", "MPEG", "SPIDER"} & set(pictures.READABLE_FORMATS)
    eps = io.BytesIO()
    Image.new("RGB", (40, 40)).save(eps, "EPS")
    with pytest.raises(ValueError, match="not a picture this program reads"):
        pictures.load(eps.getvalue())


def with_secrets(form: str) -> bytes:
    """A photo that says where and by whom it was taken, in every way its format has."""
    exif = Image.Exif()
    exif[0x010E] = exif[0x013B] = "SECRET"
    exif.get_ifd(0x8825).update({1: "N", 2: (48.0, 51.0, 29.5), 29: "SECRET"})
    options: dict[str, object] = {"exif": exif, "xmp": b"<x:xmpmeta>SECRET</x:xmpmeta>"}
    if form == "JPEG":
        options["comment"] = b"SECRET"
    if form == "PNG":
        options = {"exif": exif, "pnginfo": PngImagePlugin.PngInfo()}
        options["pnginfo"].add_text("Author", "SECRET")
        options["pnginfo"].add_itxt("XML:com.adobe.xmp", "SECRET")
    return saved(form, **options)


def tells(content: bytes) -> bool:
    """Whether a file has anything of `with_secrets`, packed or not."""
    with Image.open(io.BytesIO(content)) as picture:
        picture.load()
        packed = {key: value for key, value in picture.info.items() if key in ("exif", "xmp", "comment")}
        exif = dict(picture.getexif())
        words = str(picture.info.values()) + str(exif)
    # GPSLatitude, GPSDOP and all other tags; three letters alone are now and then among packed pixels.
    named = re.search(rb"GPS[A-Z][A-Za-z]{2}", content) or "GPS" in words
    return bool(packed or exif or named) or "SECRET" in words or b"SECRET" in content


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_no_file_that_is_made_tells_where_the_photo_was_taken(form: str) -> None:
    photo = with_secrets(form) if form != "TIFF" else saved("TIFF", description="SECRET", artist="SECRET")
    assert tells(photo)
    film = Timelapse()
    for event in stylise_events(photo, photo, Settings(size=48, quality="draft", steps=2, pyramid=False)):
        match event:
            case Started(preview=preview) | Step(preview=Image.Image() as preview):
                film.add(preview)
            case Finished(result=result):
                film.add(on_white(result.image))
    text = recipe.text(recipe.Recipe.of(result, recipe.fingerprints(photo, [photo])))
    for name, kind in FORMATS.items():
        made = encode(result.painting.pixels(), name, text if kind.keeps_text else None)
        assert not tells(made), name
    for name in ANIMATION_FORMATS:
        assert not tells(film.encode(name)), name


def test_the_test_sees_what_a_careless_program_would_keep() -> None:
    careless: list[Callable[[Image.Image], dict[str, object]]] = [
        lambda picture: {"exif": picture.info["exif"]},
        lambda picture: {"comment": picture.info["comment"]},
        lambda picture: {"xmp": picture.info["xmp"]},
    ]
    with Image.open(io.BytesIO(with_secrets("JPEG"))) as picture:
        for keep in careless:
            buffer = io.BytesIO()
            picture.save(buffer, "JPEG", **keep(picture))
            assert tells(buffer.getvalue())
