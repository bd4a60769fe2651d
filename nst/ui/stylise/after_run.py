"""Everything around a run: buttons, Stop, colours of the finished picture, the file to download, the animation."""

from __future__ import annotations

from fractions import Fraction
from itertools import accumulate

import gradio as gr
from gradio.utils import get_upload_folder
from PIL import Image

from nst.film import writing
from nst.film.clip import Clip
from nst.images import pictures, timelapse
from nst.images.decode import on_white
from nst.images.encode import FORMATS, encode, format_of
from nst.ui.server import given_files
from nst.ui.server.disk import folder_at_work
from nst.ui.server.events import Updates
from nst.ui.stylise import comparing
from nst.ui.stylise.curve import curve_rows
from nst.ui.stylise.picture import Picture
from nst.ui.stylise.visit import Visit

PICTURE_TAB = "picture-tab"
# Key -> a file format of the time-lapse.
FILM_FORMATS = {
    **timelapse.ANIMATION_FORMATS,
    "mp4": timelapse.Format("MP4: for players and messengers", ".mp4", "video/mp4"),
}
MP4_RATE = 50  # frames per second: the shortest time of a picture is 20 ms
STILLS = 4  # pictures of a run, side by side, that replace its animation
PREFERS_STILLS = "(visit, format) => [visit, format, matchMedia('(prefers-reduced-motion: reduce)').matches]"

BUTTONS = (
    "stylise",
    "stop",
    "download",
    "go_on",
    "bigger",
    "print",
    "paint_print",
    "compare",
)  # what changes when a run begins and ends
ACTING = ("download", "go_on", "bigger", "print", "paint_print")  # buttons that act on the finished picture
DISPLAY = (
    "picture",
    "chart",
    "status",
    *BUTTONS,
    "strip",
    "zip_all",
    *comparing.SIDES,
    "differences",
)  # what `show` shows
# In the browser and at once: the run itself ends with its present step, which takes seconds for a large picture.
STOPPING = "() => [{ __type__: 'update', value: 'Stopping ...', interactive: false }, 'Stopping ...']"


def running_buttons() -> Updates:
    """While a run is on Stop takes the place of Stylise, and the buttons for the last picture are disabled."""
    return {
        "stylise": gr.update(visible=False),
        "stop": gr.update(value="Stop", interactive=True, visible=True),
        **{name: gr.update(interactive=False) for name in ACTING},
    }


def show_waiting(visit: Visit) -> Updates:
    """A run was asked for. It carries the number that the visit gives it."""
    return {
        **running_buttons(),
        "compare": None,
        "status": "Waiting for your turn: one picture is painted at a time ...",
        "views": gr.Tabs(selected=PICTURE_TAB),
        "number": visit.start(),
    }


def stop(visit: Visit) -> Updates:
    """Stop was pressed. A run that paints ends itself, with its picture; one that waits is taken out of the queue."""
    if visit.stop():
        return {"cancelled": visit.number}
    return {} if visit.running else show(visit)


def show_over(visit: Visit) -> Updates:
    """gradio reports the end of a run's call. Show the visit, unless the run has done so, or another is on."""
    visit.over()
    return {} if visit.running or visit.shows_live or visit.shown else show(visit)


def show(visit: Visit) -> Updates:
    """The whole display of a visit without a run: its picture, what can be made of it, and the strip."""
    visit.shown = True
    picture = visit.usable()
    more = gr.update(interactive=picture is not None)
    updates = {
        "stylise": gr.update(visible=True),
        "stop": gr.update(value="Stop", interactive=True, visible=False),
        **dict.fromkeys(ACTING[1:], more),
        "zip_all": gr.update(interactive=bool(visit.strip)),
        **comparing.choices(visit),
        "status": visit.said,
        "compare": None,
        "strip": strip(visit),
        **offer_file(visit),
    }
    if picture is not None:
        updates |= {"picture": on_white(picture.result.image), "chart": curve_rows(picture.result.history)}
        updates["compare"] = comparison(picture)
    return updates


def strip(visit: Visit) -> dict:
    """The pictures of the visit as thumbnails, the newest first."""
    thumbnails = [(picture.thumbnail, picture.caption) for picture in reversed(visit.strip)]
    return gr.update(value=thumbnails, visible=bool(thumbnails), selected_index=None)


def comparison(picture: Picture) -> tuple[Image.Image, Image.Image]:
    """The photo and the picture at the same size, for the slider between them."""
    seen = on_white(picture.result.image)
    return on_white(pictures.scaled(picture.painting().before(), seen.size[::-1])), seen


def show_file(visit: Visit, file_format: str) -> Updates:
    """Offer the picture on the page in this format, unless a run is on or Live shows another."""
    visit.file_format = file_format
    return {} if visit.running or visit.shows_live else offer_file(visit)


def offer_file(visit: Visit) -> Updates:
    picture = visit.usable()
    path = picture and saved(picture, visit.file_format)
    return {"download": gr.update(value=path, interactive=picture is not None)}


def saved(picture: Picture, file_format: str) -> str:
    """Path of the picture as a file; a PNG holds its recipe. One that was stopped has 8 bits at most."""
    if FORMATS[file_format].bits > picture.packed.bits:
        file_format = format_of(f"x{FORMATS[file_format].suffixes[0]}", picture.packed.bits)
    text = picture.recipe_text() if FORMATS[file_format].keeps_text else None
    content = encode(picture.painting().pixels(), file_format, text, picture.request.dpi)
    return given_files.give(content, f"{picture.file_name()}{FORMATS[file_format].suffixes[0]}")


def zip_all(visit: Visit) -> Updates:
    """All pictures of the visit as one file."""
    return {"all_files": given_files.give(comparing.all_files(visit), "visit.zip")}


def show_film(visit: Visit, file_format: str, still: bool) -> Updates:
    """The run as an animation, or as a row of stills for a visitor who prefers reduced motion."""
    picture = visit.usable()
    if picture is None:
        return {"film": None, "film_download": gr.update(interactive=False)}
    film = picture.film.timelapse()
    name = f"{picture.file_name()}_time_lapse"
    moving = file_format if file_format in timelapse.ANIMATION_FORMATS else "webp"  # what a picture on the page can be
    path = given_files.give(film.encode(moving), f"{name}{FILM_FORMATS[moving].suffix}")
    shown = given_files.give(encode(film.strip(STILLS), "jpeg", None), "stills.jpg") if still else path
    if file_format != moving:
        path = given_files.give(_mp4(film), f"{name}{FILM_FORMATS[file_format].suffix}")
    return {"film": shown, "film_download": gr.update(value=path, interactive=True)}


def _mp4(film: timelapse.Timelapse) -> bytes:
    """The run as a video, in which each picture stands as often as it is shown. Its sides are even, as H.264 wants."""
    frames = film.frames()
    ends = [ms * MP4_RATE // 1000 for ms in accumulate(timelapse.durations(len(frames)))]
    width, height = (side - side % 2 for side in frames[0].size)
    shown = (
        pictures.scaled(frame, (height, width))
        for frame, begin, end in zip(frames, [0, *ends], ends, strict=False)
        for _ in range(begin, end)
    )
    with folder_at_work(get_upload_folder()) as folder:
        path = folder / "film.mp4"
        writing.write(path, shown, Clip(path, "folder", width, height, Fraction(MP4_RATE), ends[-1] / MP4_RATE))
        return path.read_bytes()


def recolour(visit: Visit, method: str, amount: float, when: str) -> Updates:
    """The picture on the page in other colours, without a new run. During a run, the one that it will leave."""
    if when != "after":
        return (
            {}
            if visit.running or visit.shows_live
            else {"status": "Colours before the run: press Stylise to paint with them."}
        )
    try:
        picture = visit.recolour(method, amount)
    except ValueError as error:
        raise gr.Error(f"{error}.".capitalize(), print_exception=False) from None
    if picture is None:
        return {}
    return {"picture": on_white(picture.result.image), "compare": comparison(picture), **offer_file(visit)}
