"""The copies of a case's photos that may be handed out."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

from edge_agent.errors import ModelError
from edge_agent.evidence.bundle import manifest
from edge_agent.evidence.bundle.facts import shares_of
from edge_agent.geometry import clamp, overlap
from edge_agent.ports import Redactor
from edge_agent.types import Case, Image, Photo, PlateRead, Role

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class Copy:
    """One redacted photo, and what the manifest says of it beside its hash."""

    path: str
    image: Image
    facts: dict[str, Any]


def redacted_copies(case: Case, redactor: Redactor) -> dict[Role, Copy]:
    """One copy per photo, showing as much of the picture as the photo does.

    None at all where redaction fails: the originals are evidence without them, and what was not
    redacted is not published.
    """
    try:
        return _copies(case, redactor)
    except ModelError:
        log.exception("no redacted copies", extra={"subject": case.subject})
        return {}


def _copies(case: Case, redactor: Redactor) -> dict[Role, Copy]:
    models = [manifest.ModelFacts(name=m.name, sha256=m.sha256) for m in redactor.models]
    copies: dict[Role, Copy] = {}
    for photo in case.photos:
        size = photo.frame.width, photo.frame.height
        own, is_unread = _own_plate(case, photo.role), case.plates is None
        redacted = redactor.redact(photo, own, may_guess=is_unread)
        hidden = [
            manifest.HiddenPart(
                trait=each.trait, by=each.by, box=shares_of(clamp(each.box, *size), photo.frame)
            )
            for each in redacted.hidden
            if photo.crop is None or overlap(each.box, photo.crop) > 0
        ]
        redaction = manifest.Redaction(method="pixelation", hidden=hidden, models=models)
        facts = {"derived_from": f"media/{photo.role}.jpg", "redaction": redaction}
        path = f"derived/{photo.role}-redacted.jpg"
        copies[photo.role] = Copy(path, cut(redacted.image, photo), facts)
    return copies


def _own_plate(case: Case, role: Role) -> PlateRead | None:
    """The read of that photo, if it is the plate that all looks agree on, and not a stranger's.

    Where plates are read, one that was not is nobody's: whoever stands in front has one, too.
    """
    read = (case.plates or {}).get(role)
    agreed = (case.plate or {}).get("text")
    return read if read is not None and agreed and read.text == agreed else None


def cut(image: Image, photo: Photo) -> Image:
    """The part of the whole picture that the photo shows."""
    if photo.crop is None:
        return image
    x1, y1, x2, y2 = (round(edge) for edge in photo.crop.edges)
    return image[y1:y2, x1:x2]
