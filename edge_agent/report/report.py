"""The page itself: a view of the data, rendered once, written whole."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from jinja2 import Environment, PackageLoader, StrictUndefined

from edge_agent.errors import EdgeError
from edge_agent.report.counts import Chart, CountTable, chart, count_table
from edge_agent.report.data import CaseReport, Recording, ReportData
from edge_agent.report.plates import PlateRow, plate_rows
from edge_agent.report.tables import Facts, Table, merged, tables
from edge_agent.report.timeline import Timeline, timeline
from edge_agent.report.wording import (
    ROLES,
    START_FROM,
    clock,
    facts,
    hashes,
    kind_name,
    lasting,
    plate,
    reason,
    wall,
)
from edge_agent.score import Reported, happenings
from edge_agent.types import JSON

_PAGES: Final = Environment(
    loader=PackageLoader("edge_agent", "report"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_PAGES.filters |= {"clock": clock, "lasting": lasting}


@dataclass(frozen=True, slots=True)
class CameraView:
    """One camera's part of the page."""

    recording: Recording
    begins: str
    scene: str | None
    timeline: Timeline
    table: CountTable | None
    chart: Chart | None
    plates: tuple[PlateRow, ...]
    tables: tuple[Table, ...]


@dataclass(frozen=True, slots=True)
class PhotoView:
    """One of the four places of a case; `image` is None where nothing was seen."""

    caption: str
    image: str | None = None
    size: tuple[int, int] = (4, 3)
    time: str = ""
    sharpness: str = ""
    frame: tuple[float, float, float, float] | None = None
    """Left, top, width and height of the vehicle in per cent; None in a close-up."""
    plate: str = ""
    """What it shows of the plate, where that was looked at."""
    is_redacted: bool = False


@dataclass(frozen=True, slots=True)
class CaseView:
    """One case's part of the page."""

    number: int
    case_id: str
    title: str
    camera: str
    tone: str
    status: str
    verdict: str
    reasons: tuple[str, ...]
    photos: tuple[PhotoView, ...]
    facts: tuple[tuple[str, str], ...]
    hashes: tuple[tuple[str, str], ...]

    @property
    def is_redacted(self) -> bool:
        """Whether any photo is not the original."""
        return any(photo.is_redacted for photo in self.photos)


def write_report(path: Path, data: ReportData) -> None:
    """Write the page as one file; EdgeError says why it cannot be written."""
    page = render_report(data).encode()
    staged = path.with_name(path.name + ".tmp")
    try:
        staged.write_bytes(page)
        staged.replace(path)
    except OSError as error:
        raise EdgeError(
            f"{path}: the report cannot be written ({error.strerror}); free some space or choose "
            "another folder. Events and evidence are not affected"
        ) from error


def render_report(data: ReportData) -> str:
    """The page as HTML; the same data gives the same bytes."""
    told = list(happenings(data.envelopes))
    cases = [_case(i, each) for i, each in enumerate(data.cases, 1)]
    links = {
        f"case/{case.case_id}": (f"Case {case.number}", f"#case-{case.number}") for case in cases
    }
    plain = _Told(told, merged(data.envelopes), data.envelopes)
    cameras = [_camera(each, plain, links) for each in data.recordings]
    is_empty = not told and not cases
    return _PAGES.get_template("page.html.j2").render(
        data=data, cameras=cameras, cases=cases, is_empty=is_empty
    )


@dataclass(frozen=True, slots=True)
class _Told:
    """What the envelopes say: as happenings, joined by subject, and as they are."""

    happenings: Sequence[Reported]
    facts: Facts
    envelopes: Sequence[Mapping[str, JSON]]


def _camera(recording: Recording, told: _Told, links: Mapping[str, tuple[str, str]]) -> CameraView:
    ours = [each for each in told.happenings if each.places["camera"] == recording.camera]
    crossings = [each for each in ours if each.type == "flow.line_crossing"]
    duration_s = recording.duration_s or 0.0
    return CameraView(
        recording=recording,
        begins=f"{recording.start}, {START_FROM[recording.start_from]}",
        scene=_data_uri(recording.scene_jpeg),
        timeline=timeline(ours, duration_s, links),
        table=count_table(crossings) if crossings else None,
        chart=chart(crossings, duration_s) if crossings else None,
        plates=tuple(plate_rows(told.envelopes, recording.camera)),
        tables=tuple(tables(ours, told.facts)),
    )


def _case(number: int, each: CaseReport) -> CaseView:
    manifest = each.manifest
    case = manifest["case"]
    status, tone = "complete", "good"
    if not each.is_valid:
        status, tone = "does not verify", "bad"
    elif not case["is_complete"]:
        status, tone = "partial", "fair"
    zone = f" in {case['zone']}" if case.get("zone") else ""
    return CaseView(
        number=number,
        case_id=each.case_id,
        title=kind_name(case["kind"]) + zone,
        camera=manifest["source"]["camera"],
        tone=tone,
        status=status,
        verdict=each.verdict,
        reasons=tuple(reason(text) for text in manifest["reasons"]),
        photos=tuple(_photo(role, each) for role in ROLES),
        facts=tuple(facts(manifest)),
        hashes=tuple(hashes(each.case_id, manifest)),
    )


def _photo(role: str, each: CaseReport) -> PhotoView:
    item = next((m for m in each.manifest["media"] if m["role"] == role), None)
    if item is None or role not in each.photos:
        return PhotoView(ROLES[role])
    return PhotoView(
        caption=ROLES[role],
        image=_data_uri(each.photos[role]),
        size=(item["width"], item["height"]),
        time=f"{clock(item['pts_s'], True)} · {wall(item['utc'])}",
        sharpness=f"{item['sharpness']:.0f}",
        frame=_frame(item["box"]) if item["crop"] is None else None,
        plate=plate(item["plate"]) if item.get("plate") else "",
        is_redacted=role in each.redacted,
    )


def _frame(box: Sequence[float]) -> tuple[float, float, float, float]:
    left, top, right, bottom = (round(100 * corner, 2) for corner in box)
    return left, top, round(right - left, 2), round(bottom - top, 2)


def _data_uri(jpeg: bytes | None) -> str | None:
    if jpeg is None:
        return None
    return "data:image/jpeg;base64," + base64.b64encode(jpeg).decode()
