"""The report is one harmless, repeatable file that tells what happened."""

from __future__ import annotations

from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, get_args, get_type_hints

import cv2
import numpy as np
import pytest

from edge_agent.errors import EdgeError
from edge_agent.report import (
    START_FROM,
    CaseReport,
    Recording,
    ReportData,
    render_report,
    write_report,
)
from edge_agent.types import Media

JPEG = bytes(cv2.imencode(".jpg", np.full((36, 64, 3), 128, np.uint8))[1])
VOID = {"meta", "img", "br", "line", "rect", "path"}


class Page(HTMLParser):
    """Checks that tags are closed in order; collects texts, tags and references."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.texts: list[str] = []
        self.references: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.references += [value or "" for key, value in attrs if key in ("src", "href")]
        assert not any(key.startswith("on") for key, _ in attrs)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.texts).split())


def envelope(kind: str, subject: str, pts_s: float, **data: Any) -> dict[str, Any]:
    return {
        "type": f"edge.{kind}.v1",
        "subject": f"case/{subject}",
        "data": {
            "source": {"kind": "replay", "camera": "north"},
            "time": {"pts_s": pts_s},
            "evidential": False,
            "reasons": ["replay"],
            **data,
        },
    }


def manifest(**changes: Any) -> dict[str, Any]:
    moment = {"utc": "2026-05-13T09:49:22.123Z", "pts_s": 12.25, "frame": 300}
    photo = {"sha256": "ab" * 32, "bytes": 9, "width": 64, "height": 36, "sharpness": 41.7}
    place = {"box": [0.25, 0.5, 0.5, 0.75], "crop": None}
    media = [
        {"role": role, "path": f"media/{role}.jpg", **photo, **moment, **place}
        for role in ("enter", "wide", "close")
    ]
    return {
        "case": {
            "id": "c1",
            "kind": "parking.illegal",
            "zone": "kerb",
            "since_s": 2.0,
            "begin": moment,
            "latest": moment,
            "dwell_s": 75.2,
            "is_complete": False,
            "facts": {"limit_s": 10.0, "end_s": 77.0, "already_standing": True, "picture": [1, 2]},
        },
        "evidential": False,
        "reasons": ["replay", "departure not seen"],
        "source": {"camera": "north", "media_sha256": "cd" * 32},
        "object": {"cls": "car", "confidence": 0.914},
        "media": media,
        "derived": [],
        "model": {"name": "motion", "sha256": None},
        "config_sha256": "ef" * 32,
        "device": {"fingerprint": "12" * 32},
        "chain": {"index": 0, "previous": None},
        **changes,
    }


def crossing(number: int, pts_s: float, direction: str) -> dict[str, Any]:
    cls = {"cls": "bus" if number == 2 else "car"}
    facts = {"begin_s": pts_s, "line": "entry", "direction": direction, "object": cls}
    return envelope("flow.line_crossing", f"l{number}", pts_s, phase="end", **facts)


def sample() -> ReportData:
    stay = {"begin_s": 2.0, "zone": "kerb", "object": {"cls": "car"}}
    stopped = {"begin_s": 3.0, "zone": "road", "object": {"cls": "truck"}}
    events = [
        envelope("parking.illegal", "c1", 12.25, phase="begin", **stay),
        envelope("incident.stopped_vehicle", "s1", 13.0, phase="begin", **stopped),
        *(crossing(i, 5.0 * i, "in" if i % 3 else "out") for i in range(7)),
        envelope("parking.illegal", "c1", 80.0, phase="end", end_s=77.0, **stay),
        envelope("evidence.case", "c1", 80.0, phase="end"),
        envelope("incident.stopped_vehicle", "s1", 90.0, phase="update", **stopped),
    ]
    photos = {"enter": JPEG, "wide": JPEG, "close": JPEG}
    return ReportData(
        site="demo",
        software="edge-agent 1.0",
        recordings=[Recording("north", "street.mp4", "aa" * 32, "09:49 UTC", "name", 95.0, JPEG)],
        root="~/box/device-cert.pem",
        envelopes=events,
        cases=[CaseReport("c1", manifest(), photos, "Valid, but partial.")],
        warnings=["the last frames are damaged"],
    )


def test_says_what_happened() -> None:
    page = Page(render_report(sample()))
    assert page.open == []
    for text in (
        "the last frames are damaged",
        "1 case",
        "Illegal parking in kerb",
        "partial",
        "not evidential",
        "Valid, but partial.",
        "made from a recording, not by a live camera",
        "departure not seen",
        "1 x illegal parking, 1 x stopped vehicle, 7 x line crossing",
        "Case 1, car, zone kerb, 0:02 to 1:17 (1 min 15 s), reported at 0:12",
        "truck, zone road, 0:03 to 1:30 (1 min 27 s), reported at 0:13, not over when",
        "0:12.2 · 2026-05-13 09:49:22.123 UTC",
        "car (91% sure)",
        "stood for 1 min 15 s",
        "begins 09:49 UTC, from the file's name",
        "edge-agent evidence verify evidence/c1.evb --root ~/box/device-cert.pem",
    ):
        assert text in page.text
    assert page.text.count("no photo") == 1


def test_counts_by_line_direction_and_class() -> None:
    text = Page(render_report(sample())).text
    assert "line direction bus car all entry out 0 3 3 entry in 1 3 4" in text
    assert "entry in" in text


def test_stands_alone() -> None:
    text = render_report(sample())
    page = Page(text)
    assert "http:" not in text
    assert "https:" not in text
    assert "script" not in page.tags
    assert "link" not in page.tags
    assert all(r.startswith(("data:image/jpeg;base64,", "#case-1")) for r in page.references)


def test_same_data_same_bytes(tmp_path: Path) -> None:
    write_report(tmp_path / "a.html", sample())
    write_report(tmp_path / "b.html", sample())
    assert (tmp_path / "a.html").read_bytes() == (tmp_path / "b.html").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.html", "b.html"]


def test_text_from_outside_stays_text() -> None:
    evil = '</title></style><script>alert(1)</script>"\' onload="x'
    data = sample()
    facts = manifest()
    facts["case"] = {**facts["case"], "zone": evil, "facts": {"plate": evil, evil: 1}}
    facts["reasons"] = [evil]
    facts["model"] = {"name": evil, "sha256": evil}
    facts["object"] = {"cls": evil, "confidence": 0.5}
    told = {"begin_s": 2.0, "line": evil, "direction": evil, "object": {"cls": evil}}
    evil_data = ReportData(
        site=evil,
        software=evil,
        recordings=[replace(data.recordings[0], media_name=evil, start=evil, sha256=evil)],
        root=evil,
        envelopes=[
            envelope(f"flow.{evil}", evil, 2.0, **told),
            envelope("parking.illegal", "x", 3.0, phase="begin", begin_s=1.0, zone=evil),
        ],
        cases=[CaseReport(evil, facts, {"wide": JPEG}, evil)],
        warnings=[evil],
    )
    text = render_report(evil_data)
    page = Page(text)
    assert "<script" not in text
    assert "script" not in page.tags
    assert text.count("</title>") == page.tags.count("title")
    assert page.text.count("alert(1)") > 10


def test_it_says_which_pictures_are_not_the_original() -> None:
    data = sample()
    text = Page(render_report(data)).text
    assert "The photos themselves are the originals, untouched." in text
    assert "redacted" not in text
    assert "pixelated" not in text
    copies = replace(data.cases[0], redacted=frozenset({"enter", "wide", "close"}))
    coarse = replace(data.recordings[0], is_coarse=True)
    text = Page(render_report(replace(data, cases=[copies], recordings=[coarse]))).text
    assert "untouched" not in text
    assert text.count("redacted copy") == 3
    assert "The photos shown here are redacted copies" in text
    assert "site file. It is pixelated on purpose" in text


def test_every_way_to_know_the_start_has_words() -> None:
    assert set(START_FROM) == set(get_args(get_type_hints(Media)["start_from"]))


def test_umlauts_and_characters(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    write_report(path, replace(sample(), site="Große Straße 街道"))
    text = path.read_text(encoding="utf-8")
    assert "Große Straße 街道" in text
    assert '<meta charset="utf-8">' in text


def test_nothing_happened() -> None:
    data = replace(sample(), envelopes=[], cases=[], warnings=[])
    page = Page(render_report(data))
    assert "Nothing to report" in page.text
    assert "svg" not in page.tags
    assert "Camera north" in page.text
    bare = replace(data, recordings=[Recording("north", "x.mp4", None, "unknown", "assumed", None)])
    assert "length unknown" in Page(render_report(bare)).text


@pytest.mark.parametrize(
    ("is_valid", "is_complete", "tone", "status"),
    [
        (True, True, "good", "complete"),
        (True, False, "fair", "partial"),
        (False, True, "bad", "does not verify"),
    ],
)
def test_status_of_a_case(is_valid: bool, is_complete: bool, tone: str, status: str) -> None:
    facts = manifest(evidential=True, reasons=[])
    facts["case"]["is_complete"] = is_complete
    case = CaseReport("c1", facts, {}, "x", is_valid)
    text = render_report(replace(sample(), cases=[case]))
    assert f'<span class="pill {tone}">{status}</span>' in text
    assert '<span class="pill good">evidential</span>' in text


def test_the_vehicle_is_framed_on_uncropped_photos_only() -> None:
    facts = manifest()
    facts["media"][2]["crop"] = [0.2, 0.4, 0.6, 0.8]
    photos = sample().cases[0].photos
    text = render_report(replace(sample(), cases=[CaseReport("c1", facts, photos, "x")]))
    assert text.count('<i style="left:25.0%;top:50.0%;width:25.0%;height:25.0%">') == 2


def test_a_full_disk_or_a_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(EdgeError, match=r"report\.html: the report cannot be written"):
        write_report(tmp_path / "none" / "report.html", sample())


def test_plates_stand_in_a_table_and_in_the_case() -> None:
    known = {"text": "AB12", "confidence": 0.934, "region": "eu", "reads": 3, "chars": [0.934] * 4}
    unread = {"text": None, "confidence": 0.0, "region": None, "reason": "plate too narrow"}
    hidden = {**known, "text": None, "hash": "ab12" * 16}
    listed = {"list": "staff", "list_meaning": "allow", "object": {"cls": "car"}}
    events = [
        envelope("plate.read", "p1", 12.5, phase="end", plate=known, **listed),
        envelope("plate.read", "p2", 13.0, phase="end", plate=unread),
        envelope("access.granted", "p3", 14.0, phase="end", plate=hidden, output="gate", **listed),
        envelope("io.out", "p3", 14.0, phase="end", output="gate"),
        envelope("evidence.case", "c1", 80.0, phase="end", plate=unread),
    ]
    facts = manifest(plate=known, reasons=["plates disagree"])
    facts["media"][0]["plate"] = {**unread, "reason": "no plate found"}
    case = CaseReport("c1", facts, sample().cases[0].photos, "x")
    text = Page(render_report(replace(sample(), envelopes=events, cases=[case]))).text
    for words in (
        "time what vehicle plate list 0:12.5 Number plate car AB12 (93% sure, 3 reads agree) staff "
        "(allow) 0:13.0 Number plate unread: plate too narrow 0:14.0 Access granted car hash "
        "ab12ab12ab12… (93% sure, 3 reads agree) staff (allow)",
        "2 x number plate, 1 x access granted, 1 x contact closed",
        "plate AB12 (93% sure, 3 reads agree)",
        "sharpness 42 plate unread: no plate found",
        "plates disagree: the photos show different ones",
    ):
        assert words in text
