"""Composition root of the daemon: a site file, its cameras, and everything that they report to."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import wait
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path
from typing import TypeVar

from edge_agent.app import device_key, state_dir
from edge_agent.assembly import Detectors, make_pipeline, model_paths
from edge_agent.checkpoints import CheckpointFeed
from edge_agent.clock import Clock, ClockReading
from edge_agent.config import Site
from edge_agent.errors import ConfigError, EvidenceError, SignalError
from edge_agent.evidence.custody.retention import Kept, survey
from edge_agent.evidence.log import LogKey, certify
from edge_agent.evidence.staging import write_whole
from edge_agent.evidence.storage import MB, Ballast, free_bytes
from edge_agent.health import Snapshot
from edge_agent.journal import Journal
from edge_agent.live.backlog import Backlog
from edge_agent.live.camera import LiveCamera
from edge_agent.live.daemon import DISK_S, Daemon
from edge_agent.live.machine import memory_bytes, temperature_c
from edge_agent.live.memory import MemoryFile, Moment
from edge_agent.live.requests import Flag, StoppedError
from edge_agent.live.site_file import boot_of, box_folder, is_paced, load_live, witness_keys
from edge_agent.live.speaker import Speaker, Speakers, origins
from edge_agent.live.timekeeping import FirstToKnow, Timekeeper, boot_id
from edge_agent.live.upkeep import Upkeep
from edge_agent.live.writer import JOIN_S, Repeater, aside
from edge_agent.pipeline import Pipeline
from edge_agent.ports import Cabinet, Source
from edge_agent.signals import BOOT, RELOAD, Unwired, WiredCabinet
from edge_agent.sources import open_live
from edge_agent.types import JSON
from edge_agent.uplink import Outbox, Uplink, topics

log = logging.getLogger(__name__)

T = TypeVar("T")

ASK_CLOCK_S = 30.0
REMEMBER_S = 5.0
UPKEEP_S, DAY_S = 60.0, 24 * 3600.0
SETTLE_S = 600.0
"""What deletes evidence waits until the clock has had time to be set."""
SETTLED_S = 30.0
"""A case that has begun is photographed, and its clip cut, within so long."""
GONE = "is not there any more: was it deleted, or its disk removed? It is made anew by a restart"
START_BYTES = 2 * MB
"""What opening the outbox and the log takes; on a full disk the ballast gives it."""
LOOK_S = 0.02
FLUSH_S = 2.0
DRAIN_S = 4.0
"""What was decided is written for so long when the service is stopped."""


class Appliance:
    """A running box."""

    def __init__(self, config: Path, clock: Clock, workers: int) -> None:
        self.config, self.clock = config, clock
        self.site = load_live(config)
        self.folder = box_folder(self.site)
        self.timekeeper = Timekeeper(clock, FirstToKnow())
        self.started_s = clock.monotonic()
        self._workers = workers
        self._detectors = Detectors(model_paths(self.site))
        self._kept_up_s = self.started_s + SETTLE_S - DAY_S
        self._gone_s: float | None = None
        """Since when the folder is not there any more."""
        self._lines_trouble: str | None = None
        """Why nobody drives the outputs; a restart may have them again."""
        self.uplink: Uplink | None = None
        self.on_uplink: Callable[[Uplink, ExitStack], None] = lambda uplink, stack: None
        """Called with every new connection, and what ends with it."""
        self.beat: Callable[[float], None] = lambda now_s: None
        """What the main thread has to do many times a second, whatever else it is at."""

    @contextmanager
    def running(self, stop: Flag | None = None) -> Iterator[None]:
        """Bring everything up in order; take it down in reverse, however it ends.

        Raises StoppedError when `stop` is set while models load, which cannot be called off.
        """
        with ExitStack() as stack:
            # first of all: until more is known, every call is on
            self.cabinet: Cabinet = make_cabinet(self.site, self.timekeeper.read)
            stack.callback(self._close_cabinet)
            self._is_housed = stack.enter_context(self.folder.claimed())
            self.timekeeper.refresh()
            cameras = self._make_cameras(stop or Flag())
            self.key = device_key(self.site, is_paced(self.site))
            self.open_journal(stack, cameras)
            self._recall(cameras)
            self._uplinks = stack.enter_context(ExitStack())
            self.open_uplink()
            self._start(stack, cameras)
            yield

    def snapshot(self) -> Snapshot:
        """How the box is doing."""
        now_s = self.clock.monotonic()
        cameras = list(self.daemon.cameras.items())
        status = self.uplink.status() if self.uplink else None
        return Snapshot(
            cameras={name: camera.vitals.at(now_s) for name, camera in cameras},
            uptime_s=now_s - self.started_s,
            waiting=self.outbox.waiting,
            backlog=self.backlog.waiting + self.daemon.writer.waiting,
            disk_free_bytes=free_bytes(self.folder.path) if self._gone_s is None else None,
            memory_bytes=memory_bytes(),
            temperature_c=temperature_c(),
            clock_synced=self.timekeeper.read()[1].sync.is_trusted,
            uplink="none" if status is None else status.reason or status.state,
            shedding=self.journal.storage.shedding if self.journal.storage else None,
        )

    def stuck(self, now_s: float) -> str | None:
        """What keeps the process from being well enough to go on; None while it is."""
        if self._gone_s is not None and now_s - self._gone_s > DISK_S:
            return f"{self.folder.path}: {GONE}"
        stuck = self._lines_trouble or self.daemon.stuck(now_s)
        return stuck or (self.uplink.stuck(now_s) if self.uplink else None)

    def open_journal(self, stack: ExitStack, cameras: list[LiveCamera]) -> None:
        """What is decided becomes durable from here on."""
        if (free_bytes(self.folder.path) or 0) < START_BYTES:
            Ballast(self.folder.evidence).release()
        self.outbox = stack.enter_context(Outbox(self.folder.outbox))
        self.speakers = Speakers(self.config, self.folder, self.key)
        speaker = self.speakers.first(self.site, origins(cameras))
        journal = Journal(speaker.bundles.origin, self.outbox, speaker.bundles)
        journal.storage, journal.outputs = speaker.storage, self.cabinet
        journal.plate_key = speaker.plate_key
        self.journal = stack.enter_context(journal)
        self.backlog = Backlog(self.journal)
        home = state_dir(self.site) / self.site.device
        statement = certify(self.key, LogKey.load_or_create(home), self.site.device)
        write_whole(home / "log-key.dsse", statement)

    def open_uplink(self) -> None:
        """Begin to deliver, if there is anybody to deliver to."""
        mqtt, origin = self.site.mqtt, self.journal.origin
        self.uplink, self.journal.on_envelope = None, self._forget
        if mqtt is not None:
            uplink = Uplink(mqtt, self.outbox, origin, self.key.fingerprint)
            self.uplink = self._uplinks.enter_context(uplink)
            self.journal.on_envelope = uplink.wake
            self.on_uplink(uplink, self._uplinks)
        self.join_feed()

    def change_cabinet(self, site: Site) -> None:
        """Let go of the old lines, every call on, and take the new ones.

        Raises SignalError for lines that cannot be had; then the old ones are taken again.
        """
        try:
            self.cabinet.close()
            cabinet = self.meanwhile(lambda: make_cabinet(site, self.timekeeper.read, RELOAD))
        except (ConfigError, SignalError):
            self._take_back()
            raise
        self._take(cabinet)

    def _take_back(self) -> None:
        try:
            self._take(make_cabinet(self.site, self.timekeeper.read, RELOAD))
        except (ConfigError, SignalError) as error:  # every call is on, and stays so
            self._lines_trouble = f"the lines cannot be had back: {error}"
            log.critical("lines lost", extra={"why": str(error)})

    def _close_cabinet(self) -> None:
        self.cabinet.close()

    def _take(self, cabinet: Cabinet) -> None:
        self.cabinet = self.daemon.cabinet = self.journal.outputs = cabinet

    def speak_anew(self, speaker: Speaker, before: Site) -> None:
        """From now on events and evidence name the present site file."""
        is_rerouted = before.mqtt != self.site.mqtt
        if is_rerouted:
            self.meanwhile(self._uplinks.close)
            self.open_uplink()
        # after that: what the log's checkpoints go out by is chosen once, and last, by the writer
        self.daemon.writer.put(lambda: self._change_speaker(speaker))

    def meanwhile(self, slow: Callable[[], T]) -> T:
        """Do what may take seconds; without its beat outputs go to rest, and systemd kills us."""
        doing = aside("meanwhile", slow)
        while wait((doing,), LOOK_S).not_done:
            self.beat(self.clock.monotonic())
        return doing.result()

    def _change_speaker(self, speaker: Speaker) -> None:
        self.journal.change(speaker.bundles, speaker.storage)
        self.journal.plate_key = speaker.plate_key
        self.join_feed()

    def forget_models(self) -> None:
        """Let go of those that the present site file does not name."""
        self._detectors.keep(camera.detector for camera in self.site.cameras.values())

    def join_feed(self) -> None:
        """The log's checkpoints go out, and what its witnesses answer comes in."""
        journal, uplink = self.journal, self.uplink
        origin, merkle_log = journal.origin, journal.bundles.log
        assert merkle_log is not None
        self.feed = CheckpointFeed(
            merkle_log,
            topics.root(str(origin.site["name"]), origin.device, origin.is_replay),
            uplink.announce if uplink else lambda message: None,
            witnesses=witness_keys(self.site),
            on_signed=self.outbox.forget_leaves,
            on_cosigned=journal.bundles.renew_proofs,
        )
        journal.bundles.witnessed = self.feed.known_before
        if uplink is not None and self.feed.witnesses:
            uplink.listen(self.feed.answers, self.feed.hear)

    def _forget(self) -> None:
        """There is nobody to deliver to."""
        self.outbox.delivered(self.outbox.last_sequence)

    def _start(self, stack: ExitStack, cameras: list[LiveCamera]) -> None:
        self.daemon = Daemon(self.backlog, self.cabinet, self.clock, self._workers, self._remake)
        self.daemon.writer.chores = self._do_chores
        self.daemon.start()
        stack.callback(self._stop)
        chores = (
            Repeater("ask-clock", ASK_CLOCK_S, self.timekeeper.refresh),
            Repeater("remember", REMEMBER_S, self._remember),
            Repeater("upkeep", UPKEEP_S, self._keep_up),
        )
        for chore in chores:
            chore.start()
            stack.callback(chore.close, JOIN_S / len(chores))
        for camera in cameras:
            self.daemon.add(camera)

    def _recall(self, cameras: list[LiveCamera]) -> None:
        """Go on where an earlier process stopped."""
        self.memory = MemoryFile(self.folder.memory, self.site.device)
        found = self.memory.read()
        if found is not None:
            known = found.corrected(self.folder.evidence, self.journal.origin)
            for camera in cameras:
                known.tell(camera.name, camera.pipeline, self._moment())

    def _remember(self, is_last: bool = False) -> None:
        states, now = self.daemon.remember(), self._moment()
        self.daemon.writer.put(lambda: self._keep(states, now, is_last))

    def _keep(self, states: dict[str, JSON], now: Moment, is_last: bool) -> None:
        # What no disk has taken must be decided anew should this process end.
        if not self.backlog.waiting and self._gone_s is None:
            self.memory.keep(states, now, is_last)

    def _moment(self) -> Moment:
        wall, reading = self.timekeeper.read()
        return Moment(boot_id(), reading.mono_ns / 1e9, wall)

    def _stop(self) -> None:
        self.cabinet.close()  # nobody drives the lines from here on
        self.daemon.stop()
        self.daemon.suspend()
        self._remember(is_last=True)
        if not self.daemon.writer.close(DRAIN_S):
            raise EvidenceError(
                f"{self.folder.path}: not everything was written, for the disk did not take it in "
                f"{DRAIN_S:g} s: check the disk"
            )
        if not self._is_housed():
            raise EvidenceError(f"{self.folder.path}: {GONE}")
        if not self.backlog.retry():
            log.error("the disk is full: lost in memory", extra={"items": self.backlog.waiting})
        self.feed.tell()
        if self.uplink is not None and self.uplink.status().state == "online":
            self.uplink.flush(FLUSH_S)

    def _do_chores(self, now_s: float) -> None:
        """In the writer's thread, which alone touches journal, log and evidence."""
        if self._is_housed():
            self._gone_s = None
            self.backlog.retry()
            self.feed.tick(now_s)
        elif self._gone_s is None:
            self._gone_s = now_s
            log.critical("the data folder is gone", extra={"path": str(self.folder.path)})

    def _keep_up(self) -> None:
        """Once a day; to look through a large disk may take minutes, so the writer is not held."""
        now_s = self.clock.monotonic()
        if now_s - self._kept_up_s < DAY_S:
            return
        self._kept_up_s = now_s
        policy = self.site.privacy.policy
        kept = survey(self.folder.evidence, policy) if policy is not None else []
        self.daemon.writer.put(lambda: self._do_upkeep(kept))

    def _do_upkeep(self, kept: Sequence[Kept]) -> None:
        now, reading = self.timekeeper.read()
        upkeep = Upkeep(self.site, state_dir(self.site), self.key, self.journal, self.feed)
        self._go_on(upkeep.do(kept, now, reading.sync.is_trusted))

    def _go_on(self, steps: Iterator[None]) -> None:
        """With one step; whatever waits for the writer comes before the next."""
        for _ in steps:
            self.daemon.writer.put(lambda: self._go_on(steps))
            return

    def _make_cameras(self, stop: Flag) -> list[LiveCamera]:
        """In a thread that may be left alone with a model that never ends to load."""
        making = aside("load", lambda: [self.make_camera(name) for name in self.site.cameras])
        while not making.done():
            if stop.is_set():
                raise StoppedError
            stop.wait(LOOK_S)
        return making.result()

    def make_camera(self, name: str) -> LiveCamera:
        """A camera that is not being read yet."""
        return LiveCamera(
            name, self.make_source(self.site, name), self.make_pipeline(self.site, name)
        )

    def make_source(self, site: Site, name: str) -> Source:
        """Where its pictures come from; not connected yet."""
        settings = site.cameras[name].source
        assert settings is not None
        around_s = site.evidence.clip_before_s + site.evidence.clip_after_s
        return open_live(settings, name, self.timekeeper.read, around_s + SETTLED_S)

    def make_pipeline(
        self, site: Site, name: str, without: frozenset[str] = frozenset()
    ) -> Pipeline:
        """The camera's components in their initial state, less the kinds of rules that hang."""
        camera = site.cameras[name]
        rules = [rule for rule in camera.rules if rule.kind not in without]
        kept = camera.model_copy(update={"rules": rules})
        pipeline = make_pipeline(name, kept, site, self._detectors.get(camera.detector))
        pipeline.open.boot_id = boot_of(site)
        return pipeline

    def _remake(self, camera: LiveCamera) -> Pipeline:
        return self.make_pipeline(self.site, camera.name, frozenset(camera.hung))


def make_cabinet(
    site: Site, read: Callable[[], tuple[datetime, ClockReading]], cause: str = BOOT
) -> Cabinet:
    """What the site's contacts and lamps are wired to; `cause`: why that is made now."""
    if site.gpio is None:
        return Unwired(site.outputs)
    return WiredCabinet(site, read, cause=cause)
