"""Pictures with text: number plates and shop signs."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageDraw, ImageFont

from .scene import SIGNS

PLATE_PX = (512, 120)
SIGN_PX = (512, 96)


def _text(picture: Image.Image, text: str, box: tuple[int, int, int, int], colour: str) -> None:
    """Draws `text` as large as fits into `box` (left, top, right, bottom), centred, bold."""
    left, top, right, bottom = box
    draw = ImageDraw.Draw(picture)
    size = float(bottom - top) * 1.3
    while size > 8:
        font = ImageFont.load_default(size)
        ink = draw.textbbox((0, 0), text, font=font, stroke_width=size / 26)
        if ink[2] - ink[0] <= right - left and ink[3] - ink[1] <= bottom - top:
            break
        size *= 0.97
    at = ((left + right - ink[0] - ink[2]) / 2, (top + bottom - ink[1] - ink[3]) / 2)
    draw.text(at, text, font=font, fill=colour, stroke_width=size / 26, stroke_fill=colour)


def plate(text: str) -> NDArray[np.uint8]:
    """A white number plate with the region's blue band, RGB."""
    picture = Image.new("RGB", PLATE_PX, "#e9e9e4")
    draw = ImageDraw.Draw(picture)
    draw.rounded_rectangle((3, 3, 508, 116), 10, outline="#141414", width=4)
    draw.rectangle((6, 6, 50, 113), fill="#16407f")
    _text(picture, "E", (14, 70, 42, 104), "#f2f2f2")
    draw.ellipse((16, 18, 40, 42), outline="#e8c63a", width=4)
    wide = Image.new("RGB", (900, 120), "#e9e9e4")
    _text(wide, text, (8, 8, 892, 112), "#101012")
    ink = ImageChops.difference(wide, Image.new("RGB", wide.size, "#e9e9e4")).getbbox()
    letters = wide.crop(ink).resize((424, 82), Image.Resampling.LANCZOS)  # tall and narrow
    picture.paste(letters, (68, 19))
    return np.asarray(picture)


def shop_signs() -> NDArray[np.uint8]:
    """All signs, shape (layers, H, W, 3): the shops' and, last, the no-stopping sign."""
    papers = ["#e8e0cc", "#1f3a2c", "#f0efe9", "#54231c", "#22303f", "#d9b24a"]
    inks = ["#3a2418", "#eadfbe", "#0d6b3c", "#f0e2c8", "#e8edf0", "#2a1c10"]
    pictures = []
    for i, name in enumerate(SIGNS):
        picture = Image.new("RGB", SIGN_PX, papers[i % 6])
        _text(picture, name, (60, 20, 452, 76), inks[i % 6])
        pictures.append(np.asarray(picture))
    picture = Image.new("RGB", (480, 600), "#e4e4e0")
    draw = ImageDraw.Draw(picture)
    draw.ellipse((40, 30, 440, 430), fill="#1b3f8f", outline="#b3211c", width=46)
    draw.line((115, 105, 365, 355), fill="#b3211c", width=44)
    draw.line((365, 105, 115, 355), fill="#b3211c", width=44)
    _text(picture, "0 - 24 h", (60, 470, 420, 560), "#101010")
    pictures.append(np.asarray(picture.resize(SIGN_PX, Image.Resampling.LANCZOS)))
    return np.stack(pictures)
