"""The demo's street watched live by two processes, one after the other: one case, whole."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyrage
import pytest

from edge_agent.app import load, make_bundle_writer
from edge_agent.assembly import Detectors, make_pipeline, model_paths
from edge_agent.clock import ClockReading, ManualClock, Sync
from edge_agent.config import Site
from edge_agent.demo.footage import CLIP, SITE
from edge_agent.evidence import DeviceKey, verify, verify_chain
from edge_agent.evidence.bundle.container import contents
from edge_agent.evidence.bundle.manifest import Manifest, PhotoFile
from edge_agent.evidence.case.dossier import UNWATCHED
from edge_agent.evidence.verification.consistency import contradictions
from edge_agent.folder import BoxFolder
from edge_agent.identity import CameraOrigin, Origin
from edge_agent.journal import Journal
from edge_agent.live.memory import MemoryFile, Moment
from edge_agent.pipeline import Outcome
from edge_agent.sources import open_recording
from edge_agent.types import Detections, Frame, Media, ModelInfo
from edge_agent.uplink import Outbox

pytestmark = pytest.mark.slow

START = datetime(2026, 5, 13, 9, 49, 12, tzinfo=UTC)
GOOD = Sync("ntp", True, 12.0)
BASE_S = 5000.0
"""The box has been up for so long."""
UNTIL_S = 56.0
STOOD_S = 34.24
"""How long the vehicle is seen to stand by one process."""
MODEL = ModelInfo("street-net", "e" * 64)


class Retold:
    """A network that sees what the motion model saw in one go: it knows standing vehicles."""

    model, is_ordered, min_score = MODEL, False, 0.5

    def __init__(self, seen: Mapping[float, Detections]) -> None:
        self._seen = seen
        self.names = next(iter(seen.values())).names

    def detect(self, frame: Frame) -> Detections:
        at_s = round((frame.wall - START).total_seconds(), 3)
        return self._seen.get(at_s, Detections.none(self.names))


def footage(from_s: float = 0.0, until_s: float = UNTIL_S) -> Iterator[Frame]:
    source = open_recording(CLIP, camera="street", start=START)
    for frame in source.frames():
        if frame.t_s >= until_s:
            return
        if frame.t_s >= from_s and frame.seq % 2 == 0:
            yield frame
    source.close()


@pytest.fixture(scope="module")
def seen() -> Retold:
    site = load(SITE)
    motion = Detectors(model_paths(site)).get(site.cameras["street"].detector)
    return Retold({round(frame.t_s, 3): motion.detect(frame) for frame in footage()})


@dataclass
class Machine:
    """A box and its disk; every call of `runs` is a process."""

    path: Path
    detector: Retold
    told: list[dict[str, Any]] = field(default_factory=list)
    recipient: str | None = None
    """Whom originals are encrypted to."""

    @property
    def site(self) -> Site:
        site = load(SITE)
        evidence = site.evidence.model_copy(update={"profile": None, "sheet": True})
        to = () if self.recipient is None else (self.recipient,)
        privacy = site.privacy.model_copy(update={"encrypt_to": to})
        changed = {"state_dir": self.path, "evidence": evidence, "privacy": privacy}
        return site.model_copy(update=changed)

    def runs(
        self,
        frames: Iterable[Frame],
        boot: str = "boot-1",
        up_s: float = BASE_S,
        killed: bool = False,
    ) -> None:
        """Watch, then stop or be killed; `up_s`: monotonic time of the footage's first frame."""
        folder = BoxFolder(self.path / "box")
        media = Media("rtsp://camera", "live", None, START, "clock")
        site, cameras = self.site, {"street": CameraOrigin(media, MODEL)}
        origin = Origin({"name": "street"}, "demo-box", boot, "c" * 64, "edge-agent 0", cameras)
        key = DeviceKey.load_or_create(self.path / "state", "demo-box", ManualClock(START))
        file = MemoryFile(folder.memory, "demo-box")
        pipeline = make_pipeline("street", site.cameras["street"], site, self.detector)
        pipeline.open.boot_id = boot
        with folder.claimed(), Outbox(folder.outbox) as outbox:
            bundles = make_bundle_writer(site, folder, key, origin, None)
            with Journal(origin, outbox, bundles, self.path / "events.jsonl") as journal:
                known = file.read()
                now = Moment(boot, up_s, START)
                for seq, frame in enumerate(frames):
                    live = _live(frame, seq, up_s)
                    now = Moment(boot, live.t_s, live.wall)
                    if seq == 0 and known is not None:
                        known.corrected(folder.evidence, origin).tell("street", pipeline, now)
                    _commit(journal, pipeline.step(live, pipeline.see(live)))
                    if seq % 10 == 0:
                        file.keep({"street": pipeline.remember()}, now)
                if not killed:
                    _commit(journal, pipeline.suspend())
                    file.keep({"street": pipeline.remember()}, now, is_last=True)
                self.told += journal.envelopes

    def events(self, kind: str) -> list[dict[str, Any]]:
        return [each for each in self.told if each["type"] == f"edge.{kind}.v1"]

    def case(self, is_chained: bool = True) -> tuple[Manifest, dict[str, bytes]]:
        (path,) = (self.path / "box" / "evidence").glob("*.evb")
        report = verify(path)
        assert report.is_valid, report.findings
        assert verify_chain([path]).is_valid == is_chained
        members = contents(path.read_bytes())
        return Manifest.from_bytes(members["manifest.json"]), members


def _live(frame: Frame, seq: int, up_s: float) -> Frame:
    t_s = up_s + frame.t_s
    return Frame(
        "street", seq, t_s, frame.wall, frame.picture, ClockReading(round(t_s * 1e9), GOOD)
    )


def _commit(journal: Journal, outcome: Outcome) -> None:
    for event in outcome.events:
        journal.event(event)
    for case in outcome.cases:
        journal.case(case, None)


def later(frames: Iterable[Frame], by_s: float) -> Iterator[Frame]:
    """The first one, and the last ones again that much later."""
    for frame in frames:
        for shift_s in (0.0, by_s):
            wall = frame.wall + timedelta(seconds=shift_s)
            yield Frame("street", frame.seq, frame.t_s + shift_s, wall, frame.picture)
        return


@pytest.fixture
def machine(tmp_path: Path, seen: Retold) -> Machine:
    return Machine(tmp_path, seen)


def told(machine: Machine) -> list[tuple[str, str]]:
    return [(e["data"]["phase"], e["subject"]) for e in machine.events("parking.illegal")]


def test_without_a_restart(machine: Machine) -> None:
    machine.runs(footage())
    assert [phase for phase, _ in told(machine)] == ["begin", "end"]
    facts, _ = machine.case()
    assert facts.case.is_complete and facts.evidential, facts.reasons
    assert facts.case.dwell_s == STOOD_S


@pytest.mark.parametrize("boot", ["boot-1", "boot-2"])
def test_stopped_after_the_begin_and_started_again(machine: Machine, boot: str) -> None:
    machine.runs(footage(until_s=34.0))
    first, before = machine.case()
    assert (first.case.revision, first.case.reasons) == (1, ["vehicle has not left"])
    up_s = BASE_S if boot == "boot-1" else -20.0  # the clock of this boot began at 20 s
    machine.runs(footage(from_s=36.0), boot=boot, up_s=up_s)
    assert [phase for phase, _ in told(machine)] == ["begin", "end"]
    assert len({subject for _, subject in told(machine)}) == 1
    facts, after = machine.case()
    assert facts.case.id == first.case.id and facts.case.revision == 2
    assert facts.case.is_complete and facts.evidential, facts.reasons
    assert [photo.role for photo in facts.photos] == ["enter", "wide", "close", "leave"]
    for role in ("enter", "wide", "close"):
        assert after[f"media/{role}.jpg"] == before[f"media/{role}.jpg"]
    assert {"derived/wide-overlay.jpg", "derived/sheet.jpg"} <= after.keys()
    end = machine.events("parking.illegal")[1]["data"]
    assert end["end_reason"] == "left"
    # Nobody looked for two seconds, and the new tracker needs a moment to be sure.
    assert STOOD_S - 2.5 <= end["dwell_s"] <= STOOD_S - 2.0


def test_stopped_before_anything_was_filed(machine: Machine) -> None:
    machine.runs(footage(until_s=28.0))
    first, before = machine.case()
    assert first.case.revision == 1
    machine.runs(footage(from_s=29.0))
    facts, after = machine.case()
    assert facts.case.is_complete, facts.reasons
    assert after["media/enter.jpg"] == before["media/enter.jpg"]


def test_killed(machine: Machine) -> None:
    machine.runs(footage(until_s=34.0), killed=True)
    machine.runs(footage(from_s=36.0))
    assert [phase for phase, _ in told(machine)] == ["begin", "end"]
    facts, _ = machine.case()
    assert facts.case.is_complete, facts.reasons


def test_a_dwell_goes_on_but_the_arrival_is_lost(machine: Machine) -> None:
    machine.runs(footage(until_s=20.0))
    assert told(machine) == []
    machine.runs(footage(from_s=22.0))
    assert [phase for phase, _ in told(machine)] == ["begin", "end"]
    begin = machine.events("parking.illegal")[0]["data"]
    # It stood from 11.2 s on; fifteen seconds of it were seen, the two in between were not.
    assert 15.0 <= begin["dwell_s"] <= 15.2
    assert 28.2 <= begin["time"]["pts_s"] - BASE_S <= 28.7
    facts, _ = machine.case()
    assert facts.case.reasons == ["arrival not seen"]


def test_gone_when_it_is_looked_for(machine: Machine) -> None:
    machine.runs(footage(until_s=34.0))
    machine.runs(footage(from_s=50.0))
    assert [phase for phase, _ in told(machine)] == ["begin"]  # a bus might stand in front of it
    machine.runs(later(footage(from_s=50.0), 31.0))
    end = machine.events("parking.illegal")[-1]["data"]
    assert (end["phase"], end["end_reason"]) == ("end", "lost")
    assert 33.0 <= end["end_s"] - BASE_S <= 34.0
    facts, _ = machine.case()
    assert facts.case.reasons == ["departure not seen"]
    assert UNWATCHED in facts.reasons


def test_restarted_twice(machine: Machine) -> None:
    machine.runs(footage(until_s=34.0))
    first, before = machine.case()
    machine.runs(footage(from_s=35.0, until_s=38.0), boot="boot-2", up_s=-20.0)
    machine.runs(footage(from_s=39.0), boot="boot-3", up_s=-10.0)
    assert [phase for phase, _ in told(machine)] == ["begin", "end"]
    facts, after = machine.case()
    assert facts.case.is_complete and facts.evidential, facts.reasons
    assert (facts.case.id, facts.case.boot_id) == (first.case.id, "boot-1")
    taken = {photo.role: photo.taken and photo.taken.boot_id for photo in facts.photos}
    assert taken == {"enter": "boot-1", "wide": "boot-1", "close": "boot-1", "leave": None}
    assert after["media/wide.jpg"] == before["media/wide.jpg"]


def test_what_cannot_be_of_photos_that_came_over(machine: Machine) -> None:
    machine.runs(footage(until_s=34.0))
    machine.runs(footage(from_s=36.0), boot="boot-2", up_s=-20.0)
    facts, _ = machine.case()
    enter, *others = facts.media
    assert isinstance(enter, PhotoFile) and enter.taken is not None

    def against(**change: object) -> list[str]:
        media = [enter.model_copy(update=change), *others]
        return list(contradictions(facts.model_copy(update={"media": media})))

    assert against() == []
    later = enter.taken.model_copy(update={"index": 7})
    found = ["wide was taken before enter", "leave was taken before enter"]
    came = "enter came over from a bundle that it does not supersede"
    assert against(taken=later) == [found[1], came]
    assert against(taken=None) != []
    assert against(pts_s=BASE_S + 40.0)[0] == found[0]
    assert list(contradictions(facts.model_copy(update={"supersedes": None}))) != []


def test_killed_between_the_file_and_the_memory_of_it(machine: Machine) -> None:
    machine.runs(footage(until_s=34.0), killed=True)
    memory = machine.path / "box" / "memory.json"
    state = json.loads(memory.read_text())
    (case,) = state["cameras"]["street"]["cases"]
    assert case["revision"] == 1
    case |= {"revision": 0, "filed": {}}
    memory.write_text(json.dumps(state))
    machine.runs(footage(from_s=36.0))
    facts, _ = machine.case()
    assert facts.case.is_complete and facts.case.revision == 2, facts.reasons


def test_a_file_that_is_gone_is_missed_by_name(machine: Machine) -> None:
    machine.runs(footage(until_s=34.0))
    (path,) = (machine.path / "box" / "evidence").glob("*.evb")
    path.unlink()
    machine.runs(footage(from_s=36.0))
    facts, _ = machine.case(is_chained=False)
    lost = [f"{role}: lost in a restart" for role in ("enter", "wide", "close")]
    assert facts.case.reasons == lost and not facts.evidential


def test_encrypted_photos_come_over_as_they_are(machine: Machine) -> None:
    machine.recipient = str(pyrage.x25519.Identity.generate().to_public())
    machine.runs(footage(until_s=34.0))
    _, before = machine.case()
    machine.runs(footage(from_s=36.0))
    facts, after = machine.case()
    assert facts.case.is_complete, facts.reasons
    for name in ("media/enter.jpg.age", "derived/wide-overlay.jpg.age"):
        assert after[name] == before[name]


def test_a_recording_at_a_cameras_pace_is_timed_by_the_devices_clock(machine: Machine) -> None:
    machine.runs(footage(until_s=34.0))
    facts, _ = machine.case()
    paced = facts.source.model_copy(update={"kind": "replay"})
    log = f"{facts.chain.origin}/replay/{facts.device.boot_id}"
    chain = facts.chain.model_copy(update={"origin": log})
    named = facts.model_copy(
        update={
            "source": paced,
            "chain": chain,
            "log": None,
            "evidential": False,
            "reasons": ["replay", *facts.reasons],
        }
    )
    assert list(contradictions(named)) == []
    given = paced.model_copy(update={"start_from": "given"})
    assert list(contradictions(named.model_copy(update={"source": given}))) != []
