"""A live device's night in a folder, told again and again: killed, cut off, and started anew.

`python story.py STATE` reads commands, one JSON object a line, and answers each with one. Every
one of them is carried out by a fork, so that what the imports cost is paid once; the parent must
have no threads. Run with `faults.so` preloaded.
"""

from __future__ import annotations

import ctypes
import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from edge_agent.cli import cli
from edge_agent.clock import ClockReading, ClockSpan, ManualClock, Sync
from edge_agent.config import Evidence
from edge_agent.evidence import BundleWriter, DeviceKey, verify, verify_chain
from edge_agent.evidence.bundle.manifest import Manifest
from edge_agent.evidence.log import Checkpoint, LogKey, MerkleLog, Note
from edge_agent.evidence.storage import Ballast, Storage
from edge_agent.identity import CameraOrigin, Origin, leaf_hash
from edge_agent.journal import Journal
from edge_agent.live.backlog import Backlog
from edge_agent.types import ArrayPicture, Box, Case, Event, Frame, Media, ModelInfo, Photo, Role
from edge_agent.uplink import Outbox

START = datetime(2026, 5, 13, 21, 0, 0, tzinfo=UTC)
SYNC = Sync("ntp", True, 12.0)
PICTURE = ArrayPicture(np.random.default_rng(3).integers(0, 255, (90, 160, 3), np.uint8))
PHOTOS: dict[Role, float] = {"enter": -3.0, "wide": 0.0, "close": 1.0, "leave": 4.0}
CAMERA = CameraOrigin(
    Media("rtsp://camera", "live", None, START, "clock"), ModelInfo("n", "b" * 64)
)
ORIGIN = Origin({"name": "plaza"}, "box-1", "boot-7", "c" * 64, "edge-agent 0", {"c1": CAMERA})

Said = Callable[..., None]


def event(subject: str, phase: Any, t_s: float) -> Event:
    reading = ClockReading(round(t_s * 1e9), SYNC)
    wall, begin_s = START + timedelta(seconds=t_s), min(t_s, 10.0 * (t_s // 10.0) + 1.0)
    return Event(
        "c1", "parking.illegal", subject, phase, begin_s, t_s, wall, int(10 * t_s), clock=reading
    )


def case(subject: str, begin_s: float, revision: int = 1, has_photos: bool = False) -> Case:
    def photo(role: Role) -> Photo:
        t_s = begin_s + PHOTOS[role]
        frame = Frame("c1", int(10 * t_s), t_s, START + timedelta(seconds=t_s), PICTURE)
        return Photo(role, frame, Box(10, 10, 60, 50), None, 1.0)

    begin, end = event(subject, "begin", begin_s), event(subject, "end", begin_s + 4.0)
    reasons = () if has_photos else ("arrival not seen",)
    photos = tuple(map(photo, PHOTOS)) if has_photos else ()
    latest = begin if revision == 1 and not has_photos else end
    times = (begin_s - 1.0, begin_s + 1.0) if has_photos else None
    return Case(
        subject, begin, latest, photos, times, has_photos, reasons, revision, clock=ClockSpan(SYNC)
    )


@contextmanager
def device(folder: Path, state: Path, records: Path | None = None) -> Iterator[Journal]:
    """The part of a live device that writes; `records`: where its outbox lies, if elsewhere."""
    records = records or folder
    key = DeviceKey.load_or_create(state, "box-1", ManualClock(START))
    settings = Evidence(min_free_mb=0, sheet=False)
    bundles = BundleWriter(folder / "evidence", key, ORIGIN, settings, {})
    bundles.log = MerkleLog(folder / "log", LogKey.load_or_create(state), ORIGIN.log)
    with (
        Outbox(records / "outbox.db") as outbox,
        Journal(ORIGIN, outbox, bundles, Path(os.devnull)) as journal,
    ):
        journal.storage = Storage(bundles, Ballast(folder / "evidence", 65536), settings)
        yield journal


def night(journal: Journal, say: Said) -> None:
    """Two offences; whatever is safe is said."""

    def decide(each: Event) -> None:
        journal.event(each)
        say(event=journal.envelopes[-1]["id"])

    def document(each: Case, clip: bytes | None = None) -> None:
        journal.case(each, clip)
        bundle = journal.written[list(journal.written)[-1]]
        say(event=journal.envelopes[-1]["id"], case=bundle.case_id, revision=each.revision)

    decide(event("a", "begin", 11.5))
    document(case("a", 11.5))
    decide(event("a", "update", 13.0))
    signed = journal.checkpoint()
    say(checkpoint=signed.to_bytes().decode() if signed else None)
    decide(event("a", "end", 15.5))
    document(case("a", 11.5, revision=2))
    decide(event("b", "begin", 24.0))
    document(case("b", 24.0, has_photos=True), b"clip" * 500)


def morning(journal: Journal, say: Said) -> None:
    """After a restart the device goes on."""
    journal.event(event("c", "begin", 35.0))
    say(event=journal.envelopes[-1]["id"])
    journal.case(case("c", 35.0), None)
    say(event=journal.envelopes[-1]["id"])


def inspect(folder: Path, state: Path, records: Path | None = None) -> dict[str, Any]:
    """What anybody finds who looks: envelopes, bundles, log."""
    key = DeviceKey.load_or_create(state, "box-1", ManualClock(START))
    log = MerkleLog(folder / "log", LogKey.load_or_create(state), ORIGIN.log)
    with Outbox((records or folder) / "outbox.db") as outbox:
        rows = outbox.pending(limit=1000)
    envelopes = [json.loads(row.body) for row in rows]
    flaws = [
        f"envelope {row.sequence} is not leaf {envelope['data']['log']['index']}"
        for row, envelope in zip(rows, envelopes, strict=True)
        if log.leaf(envelope["data"]["log"]["index"]) != leaf_hash(row.body)
    ]
    evidence, cases = folder / "evidence", {}
    paths = sorted(evidence.glob("*.evb"))
    for path in paths:
        report = verify(path, key.certificate.read_bytes())
        flaws += [f"{path.name}: {finding}" for finding in report.findings]
        facts = Manifest.model_validate(
            {name: value for name, value in report.facts.items() if name != "manifest_sha256"}
        )
        if facts.log is None or log.leaf(facts.log.index) != leaf_hash(facts.to_bytes()):
            flaws.append(f"{path.name}: is no leaf of the log")
        told = [e for e in envelopes if e["type"] == "edge.evidence.case.v1"]
        is_told = report.facts["manifest_sha256"] in [e["data"]["manifest_sha256"] for e in told]
        cases[path.stem] = {"revision": facts.case.revision, "is_told": is_told}
    flaws += [str(finding) for finding in verify_chain(paths).findings]
    known = {path.name for path in paths} | {"chain.json", ".ballast", ".register.json"}
    strays = sorted(path.name for path in evidence.iterdir() if path.name not in known)
    return {
        "ids": [envelope["id"] for envelope in envelopes],
        "types": [envelope["type"] for envelope in envelopes],
        "sequences": [int(envelope["sequence"]) for envelope in envelopes],
        "cases": cases,
        "flaws": flaws + [f"stray file {name}" for name in strays],
        "log": {"size": log.size, "signed": log.signed_size},
    }


def agrees(folder: Path, state: Path, checkpoint: str) -> bool:
    """True when the log still begins as it did when it signed that."""
    log = MerkleLog(folder / "log", LogKey.load_or_create(state), ORIGIN.log)
    signed = Checkpoint.parse(Note.from_bytes(checkpoint.encode()).text)
    return log.size >= signed.size and log.root(signed.size) == signed.root


def play(command: dict[str, Any], say: Said) -> None:
    """In the fork: replay a recording, perhaps not to the end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for number in (1, 2):
        os.dup2(nowhere, number)
    shim = arm(command)
    cli.main(args=["replay", *command["args"], "--out", command["folder"]], standalone_mode=False)
    say(boundaries=shim.boundaries())


def suffer(command: dict[str, Any], state: Path, say: Said) -> None:
    """In the fork: live through a night on a disk that refuses for a while, and make up for it."""
    folder, shim = Path(command["folder"]), arm(command)
    decided = [event("a", "begin", 11.5), event("a", "end", 15.5), event("b", "begin", 24.0)]
    cases = [case("a", 11.5), case("a", 11.5, revision=2), case("b", 24.0, has_photos=True)]
    with device(folder, state) as journal:
        backlog = Backlog(journal)
        shim.fail(*map(ctypes.c_long, command.get("fail", (0, 0, 0))))
        for each, documented in zip(decided, cases, strict=True):
            backlog.event(each)
            backlog.case(documented, None)
        say(waiting=backlog.waiting)
        shim.fail(*map(ctypes.c_long, (0, 0, 0)))
        assert backlog.retry()
        kinds = [envelope["type"].split(".")[2] for envelope in journal.envelopes]
        say(kinds=sorted(kinds), boundaries=shim.boundaries())
    with device(folder, state):
        pass  # a new start clears away what could not even be removed
    say(found=inspect(folder, state))


def arm(command: dict[str, Any]) -> ctypes.CDLL:
    shim = ctypes.CDLL(None)
    record = -1
    if "record" in command:
        record = os.open(command["record"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    torn = int(command.get("torn", False))
    shim.arm(command["folder"].encode(), ctypes.c_long(command.get("at", 0)), torn, record)
    return shim


def carry_out(command: dict[str, Any], state: Path, say: Said) -> None:
    """In the fork: live through a night or a morning, perhaps not to the end."""
    if command["do"] == "replay":
        play(command, say)
        return
    if command["do"] == "suffer":
        suffer(command, state, say)
        return
    folder, shim = Path(command["folder"]), arm(command)
    live = {"night": night, "morning": morning}[command["do"]]

    def mark(**facts: Any) -> None:
        say(**facts, boundary=shim.boundaries())

    with device(folder, state) as journal:
        say(open=True, boundary=shim.boundaries())
        live(journal, mark)
    say(boundaries=shim.boundaries())
    shim.arm(b"", 0, 0, -1)
    if command["do"] == "morning":
        say(found=inspect(folder, state))
        say(agrees=[agrees(folder, state, text) for text in command.get("checkpoints", ())])


def forked(command: dict[str, Any], state: Path) -> dict[str, Any]:
    """Carry a command out in a fork; what it said, and how it ended."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.close(reader)
            carry_out(command, state, lambda **facts: _line(writer, facts))
            status = 0
        finally:
            os._exit(status)  # a traceback has gone to stderr
    os.close(writer)
    with os.fdopen(reader) as lines:
        said = [json.loads(line) for line in lines]
    _, ended = os.waitpid(child, 0)
    return {"said": said, "status": os.waitstatus_to_exitcode(ended)}


def _line(writer: int, facts: dict[str, Any]) -> None:
    os.write(writer, json.dumps(facts).encode() + b"\n")


def main() -> None:
    state = Path(sys.argv[1])
    cv2.setNumThreads(1)
    with device(state / "first", state) as journal:  # imports and keys, before anything is counted
        night(journal, lambda **_: None)
    _line(1, {"ready": True})
    for line in sys.stdin:
        _line(1, forked(json.loads(line), state))


if __name__ == "__main__":
    main()
