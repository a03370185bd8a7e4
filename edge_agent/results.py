"""What a replay has to show for itself: verified bundles, warnings, the report."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import cv2
import numpy as np

from edge_agent import __version__
from edge_agent.clock import utc_text
from edge_agent.config import Camera, Site
from edge_agent.config.wording import suggestion
from edge_agent.drawing import draw_zones
from edge_agent.evidence import verify
from edge_agent.folder import OutFolder
from edge_agent.report import CaseReport, Recording, ReportData, write_report
from edge_agent.runner import Lane
from edge_agent.text import printable
from edge_agent.types import Bundle, Frame, Image

SCENE_BLOCKS = 96
"""Across the picture of the whole scene: of a face a tenth as wide as the picture, ten remain."""


@dataclass(frozen=True, slots=True)
class CaseVerdict:
    """One bundle, read back from the disk and verified."""

    case_id: str
    path: Path
    is_valid: bool
    is_complete: bool
    is_evidential: bool
    reasons: tuple[str, ...]
    manifest: Mapping[str, Any]

    @property
    def text(self) -> str:
        """E.g. `valid, four photos; not evidential: replay`."""
        what = "complete" if self.is_complete else "partial"
        if not self.is_valid:
            return f"INVALID, {what}: {', '.join(self.reasons)}"
        worth = "evidential" if self.is_evidential else "not evidential: " + ", ".join(self.reasons)
        return f"valid, {what}; {worth}"


@dataclass(frozen=True, slots=True)
class ReplayResult:
    """What a replay leaves behind."""

    site: Site
    folder: OutFolder
    lanes: Sequence[Lane]
    envelopes: Sequence[Mapping[str, Any]]
    bundles: Sequence[Bundle]
    first_frames: Mapping[str, Frame]
    certificate: Path
    """The box's own certificate (PEM): its bundles are verified against it."""
    is_resumed: bool
    undelivered: int = 0
    """Envelopes that the broker has not confirmed; 0 unless publishing."""
    complaint: str | None = None
    """Why the broker has not confirmed them."""

    @property
    def is_damaged(self) -> bool:
        return any(lane.damage for lane in self.lanes)

    @property
    def warnings(self) -> list[str]:
        """What a person should know before trusting the results."""
        found = [str(lane.damage) for lane in self.lanes if lane.damage]
        for lane in self.lanes:
            media = lane.source.media
            if media.start_from == "assumed":
                found.append(
                    f"{media.name}: says nothing about when it was recorded, so it is taken to "
                    f"begin at {media.start:%Y-%m-%d %H:%M} UTC: pass --start for true times"
                )
            found += _signals_missing(lane, self.site.cameras[lane.source.camera])
        if self.site.privacy.encrypt_to:
            found.append(
                "privacy.encrypt_to: only evidence of live cameras is encrypted; a replay has to "
                "repeat byte by byte, which encryption never does: this one is in plain text"
            )
        if self.undelivered:
            found.append(
                f"{self.undelivered} messages wait in {self.folder.outbox} because "
                f"{self.complaint or 'the broker is slow'}; run the same command again to "
                "deliver them"
            )
        return [printable(text) for text in found]


def _signals_missing(lane: Lane, camera: Camera) -> Iterator[str]:
    """Which rules wait for a signal phase that the recording does not tell of."""
    name = lane.source.media.name
    known = lane.signals.phases if lane.signals else {}
    for rule in camera.rules:
        phase = getattr(rule.settings, "phase", None)
        if phase is None:
            continue
        told = f"{name}: {rule.kind} can report nothing, because"
        if lane.signals is None:
            beside = f"{Path(name).stem}.signals.jsonl"
            yield f"{told} there are no recorded signals; put {beside} beside the recording"
        elif phase not in known:
            yield f"{told} its signals never show the phase `{phase}`; {suggestion(phase, known)}"
        elif known[phase] > lane.last_s:
            yield (
                f"{told} the phase `{phase}` is first told of at {known[phase]:g} s and the "
                f"recording ends at {lane.last_s:g} s; write t_s in seconds of the recording"
            )


def conclude(result: ReplayResult) -> list[CaseVerdict]:
    """Read every bundle back from the disk, verify it as a court would, and write the report."""
    root = result.certificate.read_bytes()
    cases = [_verdict(bundle, root) for bundle in result.bundles]
    data = ReportData(
        site=result.site.site.name,
        software=f"edge-agent {__version__}",
        recordings=[_recording(lane, result) for lane in result.lanes],
        root=_as_typed(result.certificate),
        envelopes=result.envelopes,
        cases=[_case_report(case) for case in cases],
        warnings=result.warnings,
    )
    write_report(result.folder.report, data)
    if not result.undelivered:
        result.folder.finish()
    return cases


def _verdict(bundle: Bundle, root: bytes) -> CaseVerdict:
    path = Path(bundle.path)
    report = verify(path, root)
    manifest = bundle.manifest
    found = tuple(str(finding) for finding in report.findings)
    return CaseVerdict(
        case_id=bundle.case_id,
        path=path,
        is_valid=report.is_valid,
        is_complete=manifest["case"]["is_complete"],
        is_evidential=manifest["evidential"],
        reasons=found or tuple(manifest["reasons"]),
        manifest=manifest,
    )


def _as_typed(path: Path) -> str:
    """As a shell takes it; reports are passed on, so it does not name the user's home."""
    full = path.absolute()
    home = Path(os.path.expanduser("~"))  # unlike Path.home, does not fail where there is none
    if full.is_relative_to(home):
        return printable(f"~/{shlex.quote(str(full.relative_to(home)))}")
    return printable(shlex.quote(str(full)))


def _case_report(case: CaseVerdict) -> CaseReport:
    """With redacted copies, if there are any, for reports are passed on."""
    derived = (item for item in case.manifest["derived"] if item.get("redaction"))
    copies = {item["derived_from"]: item["path"] for item in reversed(list(derived))}
    shown = {
        item["role"]: copies.get(item["path"], item["path"])
        for item in case.manifest["media"]
        if item["path"].endswith(".jpg") and case.is_valid
    }
    return CaseReport(
        case_id=case.case_id,
        manifest=case.manifest,
        photos=_read(case.path, shown) if shown else {},
        redacted=frozenset(role for role, path in shown.items() if path in copies.values()),
        verdict=case.text,
        is_valid=case.is_valid,
    )


def _read(bundle: Path, paths: Mapping[str, str]) -> dict[str, bytes]:
    with ZipFile(bundle) as opened:
        return {role: opened.read(path) for role, path in paths.items()}


def _recording(lane: Lane, result: ReplayResult) -> Recording:
    name, media = lane.source.camera, lane.source.media
    camera = result.site.cameras[name]
    scene = None
    if name in result.first_frames:
        still = result.first_frames[name].image
        if result.site.privacy.redact:
            still = _coarse(still)
        drawn = draw_zones(still, camera.zones, camera.lines, camera.directions)
        scene = cv2.imencode(".jpg", drawn, [cv2.IMWRITE_JPEG_QUALITY, 85])[1].tobytes()
    return Recording(
        camera=name,
        media_name=media.name,
        sha256=media.sha256,
        start=utc_text(media.start),
        start_from=media.start_from,
        duration_s=lane.last_s,
        scene_jpeg=scene,
        is_coarse=result.site.privacy.redact,
    )


def _coarse(image: Image) -> Image:
    """The scene without anybody in it who could be recognised: it is not part of any case."""
    height, width = image.shape[:2]
    blocks = SCENE_BLOCKS, max(1, round(SCENE_BLOCKS * height / width))
    few = cv2.resize(image, blocks, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(few, (width, height), interpolation=cv2.INTER_NEAREST), np.uint8)


def summary(result: ReplayResult, cases: Sequence[CaseVerdict]) -> dict[str, Any]:
    """The summary for machines."""
    counts: dict[str, int] = {}
    for envelope in result.envelopes:
        counts[envelope["type"]] = counts.get(envelope["type"], 0) + 1
    return {
        "events": str(result.folder.events),
        "report": str(result.folder.report),
        "counts": counts,
        "cases": [
            {
                "id": case.case_id,
                "bundle": str(case.path),
                "valid": case.is_valid,
                "complete": case.is_complete,
                "evidential": case.is_evidential,
                "reasons": list(case.reasons),
            }
            for case in cases
        ],
        "frames": {lane.source.camera: lane.frames for lane in result.lanes},
        "inferred": {lane.source.camera: lane.inferred for lane in result.lanes},
        "warnings": result.warnings,
        "resumed": result.is_resumed,
        "undelivered": result.undelivered,
    }
