"""The sheet that offices print: four photos of a case and what belongs to them, A4 landscape.

A copy for people, made from what the manifest says. It cannot carry the hash of the manifest,
which lists the sheet's own: it carries the SHA-256 over the photos' bytes, one after the other in
the order of the manifest, which `cat media/enter.jpg media/wide.jpg ... | sha256sum` gives too.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Final

import cv2
import numpy as np

from edge_agent.errors import EvidenceError
from edge_agent.evidence.bundle.contents import Contents
from edge_agent.evidence.bundle.manifest import DerivedFile, Manifest, PhotoFile
from edge_agent.evidence.case.collector import MISSING, ROLES
from edge_agent.evidence.derivatives import lettering
from edge_agent.evidence.derivatives.lettering import Ink, width_px, write
from edge_agent.types import Image, Role

SHEET: Final = "derived/sheet.jpg"
MAX_BYTES: Final = 500_000
QUALITIES: Final = (90, 85, 80, 75, 70, 60, 50, 35, 20, 10)

WIDTH, HEIGHT = 2339, 1654
"""A4 landscape at 200 dpi."""
MARGIN, GAP = 48, 24
TOP, CAPTION, FOOT = 92, 50, 234
"""Heights of the headline, of the line under a photo, and of what stands below all photos."""

PAPER, EMPTY, RULE = 255, 240, (190, 190, 190)
BLACK, GREY, RED, GREEN = (24, 24, 24), (105, 105, 105), (30, 30, 190), (60, 120, 30)
HEADLINE, STAMP = Ink(46, BLACK, 600), Ink(34, RED, 600)
NUMBER, PLAIN, LABEL = Ink(28, BLACK, 700), Ink(27, BLACK, 400), Ink(23, GREY, 400)
FACT, SMALL = Ink(27, BLACK, 500), Ink(20, GREY, 400)
SMALLEST_PX = 16
"""2 mm on paper; longer text is cut, the manifest has all of it."""

TITLES: Mapping[Role, str] = MappingProxyType(
    {"enter": "Arriving", "wide": "Whole scene", "close": "Close-up", "leave": "Leaving"}
)


def with_sheet(facts: Manifest, contents: Contents) -> Manifest:
    """Put the sheet among the contents; returns the manifest that lists it as well.

    A case without photos has no sheet.
    """
    if not contents.shown:
        return facts
    photos = hashlib.sha256(b"".join(contents.files[photo.path] for photo in facts.photos))
    images = {role: image for role, (_, image) in contents.shown.items()}
    page = draw_sheet(facts, images)
    paths = [path for path, _ in contents.shown.values()]
    _note(page, facts, photos.hexdigest(), is_redacted=paths[0].startswith("derived/"))
    entry = contents.add(SHEET, encode_sheet(page))
    sheet = DerivedFile(**entry, derived_from=paths if len(paths) > 1 else paths[0])
    return facts.model_copy(update={"derived": [*facts.derived, sheet]})


def draw_sheet(facts: Manifest, images: Mapping[Role, Image]) -> Image:
    """The sheet as a picture (HEIGHT, WIDTH, 3); `images` are the photos, or copies of them.

    A photo that is missing leaves a cell that says why; room for the note stays at the bottom.
    """
    page = np.full((HEIGHT, WIDTH, 3), PAPER, np.uint8)
    _head(page, facts)
    taken = {photo.role: photo for photo in facts.photos}
    width = (WIDTH - 2 * MARGIN - GAP) // 2
    height = (HEIGHT - 2 * MARGIN - TOP - FOOT) // 2
    for index, role in enumerate(ROLES):
        x, y = MARGIN + index % 2 * (width + GAP), MARGIN + TOP + index // 2 * height
        cell = page[y : y + height, x : x + width]
        _frame(cell[: height - CAPTION], images.get(role), _missing(role, facts))
        _caption(cell[height - CAPTION :], index + 1, role, taken.get(role))
    _foot(page[HEIGHT - MARGIN - FOOT : HEIGHT - MARGIN, MARGIN : WIDTH - MARGIN], facts)
    return page


def encode_sheet(page: Image) -> bytes:
    """The sheet as JPEG, as good as `MAX_BYTES` allow; the same bytes every time."""
    for quality in QUALITIES:
        is_done, encoded = cv2.imencode(".jpg", page, [cv2.IMWRITE_JPEG_QUALITY, quality])
        if not is_done:
            raise EvidenceError(f"sheet: cannot be encoded as JPEG ({page.shape})")
        if len(encoded) <= MAX_BYTES:
            break
    return encoded.tobytes()


def _fit(text: str, ink: Ink, limit_px: int) -> tuple[str, Ink]:
    """As `lettering.fit`, in letters that can be read on paper."""
    return lettering.fit(text, ink, limit_px, SMALLEST_PX)


def _head(page: Image, facts: Manifest) -> None:
    base = MARGIN + 46
    words = reversed(facts.case.kind.split("."))
    title = " ".join(words).replace("_", " ").capitalize()
    end = write(page, title, (MARGIN, base), HEADLINE)
    write(page, f"case {facts.case.id}", (end + 28, base), LABEL)
    stamp = "Stated as evidential" if facts.evidential else "NOT EVIDENTIAL"
    ink = STAMP._replace(colour=GREEN) if facts.evidential else STAMP
    write(page, stamp, (WIDTH - MARGIN - width_px(stamp, ink), base - 14), ink)
    why = ", ".join(facts.reasons) or f"by {facts.device.id}"
    text, small = _fit(why, LABEL, WIDTH // 2)
    write(page, text, (WIDTH - MARGIN - width_px(text, small), base + 18), small)


def _frame(cell: Image, image: Image | None, why: str) -> None:
    """The photo as large as it fits, in the middle of its cell."""
    height, width = cell.shape[:2]
    cell[:] = EMPTY
    if image is None:
        for text, ink, y in (("No photo", HEADLINE, -10), (why, PLAIN, 40)):
            shown, small = _fit(text, ink._replace(colour=GREY), width - 40)
            at = (width - width_px(shown, small)) // 2, height // 2 + y
            write(cell, shown, at, small)
        cv2.rectangle(cell, (0, 0), (width - 1, height - 1), RULE, 2)
        return
    scale = min(width / image.shape[1], height / image.shape[0])
    size = max(1, int(image.shape[1] * scale)), max(1, int(image.shape[0] * scale))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    x, y = (width - size[0]) // 2, (height - size[1]) // 2
    cell[y : y + size[1], x : x + size[0]] = cv2.resize(image, size, interpolation=how)


def _missing(role: Role, facts: Manifest) -> str:
    """Why there is no such photo, in the words of the case."""
    known = (MISSING[role], "vehicle has not left" if role == "leave" else "", "shed for memory")
    return next((reason for reason in known if reason in facts.case.reasons), "not taken")


def _caption(strip: Image, number: int, role: Role, photo: PhotoFile | None) -> None:
    end = write(strip, f"{number}  {TITLES[role]}", (2, 32), NUMBER)
    if photo is None:
        return
    told = f"{_to_tenths(photo.utc)} UTC    frame {photo.frame}"
    if photo.plate is not None:
        text = photo.plate.text
        told += f"    plate {text}" if text else f"    {photo.plate.reason}"
    text, ink = _fit(told, PLAIN, strip.shape[1] - end - 30)
    write(strip, text, (end + 24, 32), ink)
    size = f"{photo.width}x{photo.height}"
    room = strip.shape[1] - width_px(size, LABEL)
    if end + 24 + width_px(text, ink) + 24 < room:
        write(strip, size, (room, 32), LABEL)


def _foot(strip: Image, facts: Manifest) -> None:
    """What the case is about, in three columns."""
    cv2.line(strip, (0, 4), (strip.shape[1], 4), RULE, 2)
    width = strip.shape[1] // 3
    for column, rows in enumerate(_facts(facts)):
        x = column * width
        for row, (label, value) in enumerate(rows):
            y = 42 + 40 * row
            write(strip, label, (x, y), LABEL)
            text, ink = _fit(value, FACT, width - 160 - GAP)
            write(strip, text, (x + 160, y), ink)


def _facts(facts: Manifest) -> list[list[tuple[str, str]]]:
    case, site, plate = facts.case, facts.site, facts.plate
    place = str(site.get("name") or "")
    if site.get("lat") is not None and site.get("lon") is not None:
        place += f"   {site['lat']:.5f}, {site['lon']:.5f}"
    limit_s = case.facts.get("limit_s")
    permitted = f"{limit_s:.1f} s" if isinstance(limit_s, int | float) else "not stated"
    agreed = "not read" if plate is None else plate.text or f"unread: {plate.reason}"
    return [
        [
            ("Place", place),
            ("Camera", facts.source.camera),
            ("Device", f"{facts.device.id}   certificate {facts.device.fingerprint[:16]}…"),
            ("Responsible", str(site.get("responsible") or "not stated")),
        ],
        [
            ("Violation", f"{case.kind}   zone {case.zone or 'not stated'}"),
            ("Permitted", permitted),
            ("Measured", f"{case.dwell_s:.1f} s" + ("" if case.phase == "end" else ", not ended")),
            ("Plate", agreed),
        ],
        [
            ("Reported", f"{_to_tenths(case.begin.utc)} UTC"),
            ("Source", f"{facts.source.kind}   {facts.source.media_name}"),
            ("Profile", facts.profile or "none"),
            ("Revision", f"{case.revision}   {'complete' if case.is_complete else 'partial'}"),
        ],
    ]


def _note(page: Image, facts: Manifest, photos_sha256: str, is_redacted: bool) -> None:
    covered = " in which bystanders and other vehicles are covered" if is_redacted else ""
    names = " ".join(photo.path for photo in facts.photos)
    lines = (
        f"SHA-256 over the photos: {photos_sha256}   (cat {names} | sha256sum)",
        f"A copy{covered}. The evidence is the file {facts.case.id}.evb: "
        "its photos as they were taken, their hashes and the device's signature over all of it.",
    )
    for line, y in zip(lines, (HEIGHT - MARGIN - 22, HEIGHT - MARGIN + 6), strict=True):
        text, ink = _fit(line, SMALL, WIDTH - 2 * MARGIN)
        write(page, text, (MARGIN, y), ink)


def _to_tenths(utc: str) -> str:
    """Cut, not rounded, as a clock is read."""
    moment = datetime.fromisoformat(utc)
    return f"{moment:%Y-%m-%d %H:%M:%S}.{moment.microsecond // 100_000}"
