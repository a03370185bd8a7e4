"""What a memory says of cases, corrected by what lies on the disk.

A case is on the disk the moment it is written, the memory a little later: killed in between, the
memory knows less. A later revision must not take away what the file has.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from edge_agent.errors import EvidenceError
from edge_agent.evidence.bundle.chain import manifest_bytes
from edge_agent.evidence.bundle.manifest import Manifest, PhotoFile
from edge_agent.identity import Origin, case_id
from edge_agent.types import JSON


def resumed(cases: JSON, folder: Path, origin: Origin) -> JSON:
    """The cases as `CaseCollector.remember` tells them; those that are finished are left out."""
    return list(_resumed(cases, folder, origin))


def _resumed(cases: JSON, folder: Path, origin: Origin) -> Iterator[JSON]:
    for case in cases:
        begin = case["begin"]
        identity = case_id(origin, begin["camera"], begin["subject"], begin["since_boot"])
        try:
            facts = Manifest.from_bytes(manifest_bytes(folder / f"{identity}.evb"))
        except (OSError, ValueError, EvidenceError):
            yield case
            continue
        if facts.case.revision <= case["revision"]:
            yield case
        elif facts.case.phase != "end":
            filed = {photo.role: _filed(photo) for photo in facts.photos}
            yield {**case, "revision": facts.case.revision, "filed": filed}


def _filed(photo: PhotoFile) -> JSON:
    plate = photo.plate
    read = (
        None
        if plate is None
        else {
            "track_id": 0,
            "text": plate.text or "",
            "char_scores": plate.chars,
            "region": plate.region,
            "corners": [],
            "found_score": 0.0,
            "reason": plate.reason,
        }
    )
    return {"t_s": photo.pts_s, "read": read}
