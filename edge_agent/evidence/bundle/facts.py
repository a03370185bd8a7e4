"""What a manifest says of a case: the parts that follow from the case alone."""

from __future__ import annotations

from typing import Any

from edge_agent.clock import utc_text
from edge_agent.evidence.bundle import manifest
from edge_agent.evidence.case.legibility import Shown
from edge_agent.text import printable
from edge_agent.types import Box, Case, Event, Frame, Media, PlateRead


def source_facts(case: Case, media: Media) -> manifest.SourceFacts:
    """Where the pictures come from."""
    return manifest.SourceFacts(
        kind=media.kind,
        camera=case.begin.camera,
        media_name=printable(media.name),
        media_sha256=media.sha256,
        start=utc_text(media.start),
        start_from=media.start_from,
        **({"clock": manifest.ClockFacts.of(case.clock)} if case.clock else {}),
    )


def case_facts(case: Case, identity: str, boot_id: str) -> manifest.CaseFacts:
    """What happened; `boot_id` is the present boot."""
    begin, latest = case.begin, case.latest
    stated = latest.facts.get("dwell_s")
    dwell_s = stated if isinstance(stated, int | float) else latest.t_s - begin.begin_s
    return manifest.CaseFacts(
        id=identity,
        kind=begin.kind,
        subject=case.subject,
        zone=begin.zone,
        revision=case.revision,
        phase=latest.phase,
        since_s=round(begin.begin_s, 6),
        begin=_moment(begin),
        latest=_moment(latest),
        dwell_s=round(float(dwell_s), 3),
        is_complete=case.is_complete,
        reasons=list(case.reasons),
        facts=dict(latest.facts),
        **({} if begin.since_boot in (None, boot_id) else {"boot_id": begin.since_boot}),
    )


def plate_facts(read: PlateRead | None) -> manifest.PlateFacts:
    """What one photo shows of the plate."""
    shown = Shown.of(read)
    return manifest.PlateFacts(
        text=shown.text,
        confidence=min(shown.char_scores, default=0.0),
        chars=list(shown.char_scores),
        region=read.region if read is not None and shown.text is not None else None,
        reason=shown.reason,
    )


def agreed_plate(case: Case) -> dict[str, Any]:
    """What all looks at the plate agree on; nothing where no plates are read."""
    plate = case.plate
    if plate is None:
        return {}
    agreed = manifest.AgreedPlate(
        text=plate["text"],
        confidence=plate["confidence"],
        chars=list(plate.get("chars", ())),
        region=plate["region"],
        reason=plate.get("reason"),
        reads=plate["reads"],
        models=[manifest.ModelFacts(name=m.name, sha256=m.sha256) for m in case.plate_models],
    )
    return {"plate": agreed}


def object_facts(case: Case) -> manifest.ObjectFacts | None:
    """The vehicle, when the case began."""
    track = case.begin.track
    sizes = [(photo.frame.width, photo.frame.height) for photo in case.photos]
    if "picture" in case.begin.facts:
        sizes.insert(0, case.begin.facts["picture"])
    if track is None or not sizes:
        return None
    width, height = sizes[0]
    return manifest.ObjectFacts(
        track=track.id,
        cls=track.cls,
        confidence=round(float(track.score), 4),
        box=_shares(track.box, width, height),
    )


def _moment(event: Event) -> manifest.Moment:
    return manifest.Moment(utc=utc_text(event.wall), pts_s=round(event.t_s, 6), frame=event.frame)


def shares_of(box: Box, frame: Frame) -> list[float]:
    """A box in px as shares of the whole picture."""
    return _shares(box, frame.width, frame.height)


def _shares(box: Box, width: int, height: int) -> list[float]:
    sizes = (width, height, width, height)
    return [round(float(edge) / size, 6) for edge, size in zip(box.edges, sizes, strict=True)]
