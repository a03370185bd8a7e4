"""Composition root of a run: footage, cameras, journal, broker; `assembly` makes the cameras."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import cv2
import platformdirs

from edge_agent import __version__
from edge_agent.analyzers import DOCUMENTED, rule_settings
from edge_agent.assembly import (
    Detectors,
    make_pipeline,
    make_redactor,
    model_flaws,
    model_paths,
)
from edge_agent.checkpoints import CheckpointFeed
from edge_agent.clock import SystemClock
from edge_agent.config import Camera, Site, load_site
from edge_agent.config.coherence import unfed
from edge_agent.config.lists import hiding_key, list_hashes
from edge_agent.config.load import Flaw, located, site_sha256
from edge_agent.config.models import Mqtt
from edge_agent.drawing import draw_zones
from edge_agent.errors import UsageError
from edge_agent.evidence import BundleWriter, DeviceKey
from edge_agent.evidence.custody.encryption import read_recipients
from edge_agent.evidence.keys.token import check_token
from edge_agent.evidence.log import LogKey, MerkleLog
from edge_agent.evidence.profiles import find_profile
from edge_agent.folder import BoxFolder, OutFolder
from edge_agent.geometry import Polygon
from edge_agent.identity import CameraOrigin, Origin, digest
from edge_agent.journal import Journal
from edge_agent.ports import Redactor, Source
from edge_agent.results import ReplayResult
from edge_agent.runner import Lane, replay
from edge_agent.signals import MockOutputs, open_recorded
from edge_agent.sources import open_recording
from edge_agent.types import Frame
from edge_agent.uplink import Outbox, Uplink, client, topics
from edge_agent.uplink.tls import expiry_flaws

PATIENCE_S = 10.0
"""A broker that takes nothing for so long is given up until the command is repeated."""


@dataclass(frozen=True, slots=True)
class ReplayRequest:
    """What the command line asks for."""

    config: Path
    out: Path
    videos: Sequence[tuple[str | None, Path]]
    """Camera name (None: the site's only camera) and recording."""
    start: datetime | None = None
    workers: int = 2
    publish: bool = False
    overwrite: bool = False


@dataclass
class Observer:
    """What the caller wants to hear of while a replay runs."""

    on_lanes: Callable[[Sequence[Lane]], None] = lambda lanes: None
    on_frame: Callable[[Frame], None] = lambda frame: None
    first_frames: dict[str, Frame] = field(default_factory=dict)

    def see(self, frame: Frame) -> None:
        self.first_frames.setdefault(frame.camera, frame)
        self.on_frame(frame)


def load(config: Path) -> Site:
    """The validated site file, every kind of rule known."""
    return load_site(config, rule_settings(), find_profile)


def state_dir(site: Site) -> Path:
    """Where the device key lives."""
    return site.state_dir or Path(platformdirs.user_state_dir("edge-agent"))


def device_key(site: Site, is_replay: bool) -> DeviceKey:
    """What signs for the site's device, or its replays; made on first use."""
    make = DeviceKey.for_replays if is_replay else DeviceKey.load_or_create
    return make(state_dir(site), site.device, SystemClock(), site.token)


def bind(site: Site, videos: Sequence[tuple[str | None, Path]]) -> list[tuple[str, Path]]:
    """Give every recording its camera, or say which name is missing."""
    names = list(site.cameras)
    bound: dict[str, Path] = {}
    for given, path in videos:
        if given is None and len(names) > 1:
            raise UsageError(
                f"{path}: which camera is this? The site has {', '.join(names)}: "
                f"say `--camera {names[0]}={path}` to replay, `--still {names[0]}={path}` to check"
            )
        name = given or names[0]
        if name not in site.cameras:
            raise UsageError(f"{name}={path}: no such camera; the site has {', '.join(names)}")
        if name in bound:
            raise UsageError(f"camera {name}: given two recordings, {bound[name]} and {path}")
        bound[name] = path
    if not bound:
        raise UsageError("no recording given: name a video file or a folder of stills")
    return list(bound.items())


def open_lanes(site: Site, request: ReplayRequest) -> list[Lane]:
    """Open every recording and model; nothing has been written yet if one of them fails."""
    zone = ZoneInfo(site.site.timezone)
    detectors = Detectors(model_paths(site))
    lanes = []
    for name, path in bind(site, request.videos):
        camera = site.cameras[name]
        source: Source = open_recording(path, name, request.start, zone)
        pipeline = make_pipeline(name, camera, site, detectors.get(camera.detector))
        lanes.append(Lane(source, pipeline, open_recorded(path)))
    return lanes


def make_origin(
    site: Site, config: Path, lanes: Sequence[Lane], redactor: Redactor | None
) -> Origin:
    """Who speaks in this run; its id follows from what is played and how."""
    config_sha256 = site_sha256(config)
    profile = site.evidence.profile
    run = digest(
        # A broker corrected between two tries must not orphan what waits for it; the others play
        # no part in a replay.
        site.model_dump_json(
            exclude={
                "mqtt": True,
                "metrics": True,
                "data_dir": True,
                "device_key": True,
                "evidence": {"timestamp": True, "witnesses": True, "log_days": True},
                "cameras": {"__all__": {"source": True}},
            }
        ),
        __version__,
        *(_played(lane) for lane in lanes),
        *list_hashes(site),
        *(model.sha256 for model in (redactor.models if redactor else ())),
        find_profile(profile).model_dump_json() if profile else None,
    )
    return Origin(
        site=about_site(site),
        device=site.device,
        boot_id=run[:32],
        config_sha256=config_sha256,
        software=f"edge-agent {__version__}",
        cameras={
            lane.source.camera: CameraOrigin(lane.source.media, lane.pipeline.detector.model)
            for lane in lanes
        },
    )


def about_site(site: Site) -> dict[str, Any]:
    """What every event says of the place."""
    about = site.site.model_dump(include={"name", "lat", "lon", "responsible", "safety_manager"})
    return {key: value for key, value in about.items() if value is not None}


def _played(lane: Lane) -> str:
    """What one lane plays, through which weights, beginning when."""
    media, model = lane.source.media, lane.pipeline.detector.model
    signals = lane.signals.sha256 if lane.signals else None
    parts = (lane.source.camera, media.sha256, media.start.isoformat(), model.name, model.sha256)
    pipeline = lane.pipeline
    looks = [look for look in (pipeline.plates, pipeline.heads, pipeline.bays) if look]
    closer = [info.sha256 for look in looks for info in look.models]
    return digest(*parts, signals, *closer)


def run_replay(
    request: ReplayRequest, observer: Observer, site: Site | None = None
) -> ReplayResult:
    """Play recordings through the site's rules; leaves events and evidence in the folder.

    `site` replaces what `request.config` says, which is still what the events name by its hash.
    """
    site = site or load(request.config)
    if request.publish:
        _check_broker(site, request.config)
    lanes, redactor = open_lanes(site, request), make_redactor(site)
    origin = make_origin(site, request.config, lanes, redactor)
    folder = OutFolder(request.out, origin.boot_id)
    key = device_key(site, is_replay=True)
    with ExitStack() as stack:
        is_resumed = stack.enter_context(folder.claimed(request.overwrite))
        observer.on_lanes(lanes)
        outbox = stack.enter_context(_outbox(folder, request.publish))
        bundles = make_bundle_writer(site, folder, key, origin, redactor)
        journal = stack.enter_context(Journal(origin, outbox, bundles, folder.events))
        journal.outputs = MockOutputs(site.outputs)  # nothing real may move in a replay
        journal.plate_key = hiding_key(site, state_dir(site))
        uplink = None
        if request.publish and site.mqtt is not None:
            uplink = stack.enter_context(_published(site.mqtt, journal, key.fingerprint))
        replay(lanes, journal, request.workers, observer.see)
        complaint = uplink.status().reason if uplink and not _delivers(uplink) else None
        return ReplayResult(
            site=site,
            folder=folder,
            lanes=lanes,
            envelopes=journal.envelopes,
            bundles=list(journal.written.values()),
            first_frames=observer.first_frames,
            certificate=key.certificate,
            is_resumed=is_resumed,
            undelivered=uplink.status().waiting if uplink else 0,
            complaint=complaint,
        )


def make_bundle_writer(
    site: Site,
    folder: OutFolder | BoxFolder,
    key: DeviceKey,
    origin: Origin,
    redactor: Redactor | None,
) -> BundleWriter:
    """What makes the evidence of a run, with the log that it becomes part of."""
    writer = BundleWriter(folder.evidence, key, origin, site.evidence, _zones(site))
    log_key = LogKey.load_or_create(state_dir(site) / site.device)
    writer.log = MerkleLog(folder.log, log_key, origin.log, resumes=origin.resumes)
    return _equipped(writer, site, redactor)


def change_bundle_writer(
    writer: BundleWriter, site: Site, origin: Origin, redactor: Redactor | None
) -> BundleWriter:
    """What goes on where `writer` stops, by another site file."""
    return _equipped(writer.changed(origin, site.evidence, _zones(site)), site, redactor)


def _equipped(writer: BundleWriter, site: Site, redactor: Redactor | None) -> BundleWriter:
    writer.redactor, writer.policy = redactor, site.privacy.policy
    is_replay = writer.origin.is_replay
    writer.recipients = () if is_replay else read_recipients(site.privacy.encrypt_to)
    return writer


@contextmanager
def _published(mqtt: Mqtt, journal: Journal, fingerprint: str) -> Iterator[Uplink]:
    """Deliver what the journal keeps; in the end, leave the log's checkpoint at the broker."""
    origin, log = journal.origin, journal.bundles.log
    with Uplink(mqtt, journal.outbox, origin, fingerprint) as uplink:
        journal.on_envelope = uplink.wake
        yield uplink
        if log is not None:
            tree = topics.root(str(origin.site["name"]), origin.device, origin.is_replay)
            forget = journal.outbox.forget_leaves
            CheckpointFeed(log, tree, uplink.announce, on_signed=forget).tell()


def _outbox(folder: OutFolder, publish: bool) -> Outbox:
    """Where nothing is to be delivered it only numbers the events, as many as there are."""
    if publish:
        return Outbox(folder.outbox, keep=sys.maxsize)
    return Outbox(":memory:", max_bytes=sys.maxsize)


def _check_broker(site: Site, config: Path) -> None:
    """Raise UsageError or ConfigError for what would stop the delivery, before anything is done."""
    if site.mqtt is None:
        raise UsageError(f"--publish: {config} names no broker: add an mqtt section")
    found = list(client.flaws(site.mqtt))
    if found:
        raise located(config, found)


def flaws(site: Site, reads_weights: bool = False) -> Iterator[Flaw]:
    """All that is wrong with the models and the broker's files that a site file names."""
    yield from model_flaws(site, reads_weights)
    if site.mqtt is not None:
        yield from client.flaws(site.mqtt)


def _zones(site: Site) -> dict[str, dict[str, Polygon]]:
    return {
        name: {zone: Polygon(corners) for zone, corners in camera.zones.items()}
        for name, camera in site.cameras.items()
    }


def _delivers(uplink: Uplink) -> bool:
    """Wait for the broker for as long as it keeps taking messages."""
    taken = uplink.status().taken
    while not uplink.flush(PATIENCE_S):
        if uplink.status().taken == taken:
            return False
        taken = uplink.status().taken
    return True


def with_model(site: Site, model: str) -> Site:
    """The same site with every camera looking through another model."""
    cameras = {
        name: camera.model_copy(
            update={"detector": camera.detector.model_copy(update={"model": model})}
        )
        for name, camera in site.cameras.items()
    }
    return site.model_copy(update={"cameras": cameras})


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0))


def check_site(
    site: Site,
    config: Path,
    stills: Sequence[tuple[str | None, Path]],
    out: Path,
    more: Iterable[Flaw] = (),
) -> dict[str, Any]:
    """Load everything that the site file names and draw its zones; raises what is wrong.

    more: what is known to be wrong already, to be told with the rest.
    """
    found = [*flaws(site, reads_weights=True), *more]
    if site.mqtt is not None and site.mqtt.tls is not None:
        found += expiry_flaws(site.mqtt.tls, SystemClock().now())
    if found:
        raise located(config, found)
    if site.token is not None:
        check_token(site.token)
    profile = find_profile(site.evidence.profile) if site.evidence.profile else None
    detectors = Detectors(model_paths(site))
    pictures = dict(bind(site, stills)) if stills else {}
    cameras: dict[str, Any] = {}
    for name, camera in site.cameras.items():
        make_pipeline(name, camera, site, detectors.get(camera.detector))
        drawn = [str(_draw(name, camera, pictures[name], out))] if name in pictures else []
        rules = [rule.kind for rule in camera.rules]
        cameras[name] = {"model": camera.detector.model, "rules": rules, "drawn": drawn}
        has_cases = not DOCUMENTED.isdisjoint(rules)
        is_blind = bool(profile and profile.needs_plates and has_cases and camera.plates is None)
        cameras[name]["misses"] = [f"plates, which {site.evidence.profile} asks for"] * is_blind
        cameras[name]["unfed"] = unfed(site, name)
    make_redactor(site)
    return {"config": str(config), "cameras": cameras, "is_live": is_live(site)}


def is_live(site: Site) -> bool:
    """True for a box with cameras, False for a site file that recordings are played through."""
    return any(camera.source is not None for camera in site.cameras.values())


def _draw(name: str, camera: Camera, still: Path, out: Path) -> Path:
    source = open_recording(still, name)
    try:
        frame = next(source.frames())
    finally:
        source.close()
    path = out / f"{name}-zones.png"
    drawn = draw_zones(
        frame.image, camera.zones, camera.lines, camera.directions, camera.ground or ()
    )
    picture = cv2.imencode(".png", drawn)[1]
    try:
        out.mkdir(parents=True, exist_ok=True)
        path.write_bytes(picture.tobytes())
    except OSError as error:
        raise UsageError(f"--out {out}: cannot be written ({error.strerror})") from error
    return path
