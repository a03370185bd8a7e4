"""What a technician has looked at before leaving: everything that the site file asks the box for.

Each check tries the real thing and says what to do about what it found.
"""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import chain
from pathlib import Path
from typing import Literal

from cryptography import x509

from edge_agent.app import load, state_dir
from edge_agent.assembly import Detectors, make_pipeline, make_redactor, model_paths
from edge_agent.clock import Clock, Sync
from edge_agent.config import Site
from edge_agent.config.models import Camera
from edge_agent.config.signal_io import Contact, Gpio, Output, unfed
from edge_agent.errors import ConfigError, EdgeError, SignalError, SourceError
from edge_agent.evidence.keys.identity import Home
from edge_agent.evidence.storage import free_bytes
from edge_agent.live.machine import temperature_c
from edge_agent.live.timekeeping import FirstToKnow, Timekeeper
from edge_agent.ports import ClockSync
from edge_agent.signals.lines import Lines
from edge_agent.sources import open_live
from edge_agent.uplink.probe import Answer, ask_broker

Grade = Literal["pass", "warn", "fail"]

PICTURE_S = 25.0
"""A camera that has not shown anything by then is not going to."""
RENEW = timedelta(days=30)
WARM_C, HOT_C = 75.0, 82.0
"""A Pi's firmware throttles from 80 to 85 degrees; 7 below that there is a summer to come."""
LAMPS = ("red", "amber", "green")
EXCLUSIVE = ("v4l2", "picamera")
"""Kinds of cameras that only one program can open."""
SERVICE = "edge-agent.service"
THROTTLED = Path("/sys/devices/platform/soc/soc:firmware/get_throttled")
"""Of a Pi's firmware; the bits are those of `vcgencmd get_throttled`."""
_UNDERVOLTAGE, _SLOWED, _SINCE_START = 0x1, 0xE, 16


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    subject: str
    grade: Grade
    found: str
    remedy: str = ""
    """What to do; empty where nothing has to be done."""


@dataclass(frozen=True)
class Patient:
    """The box as its site file describes it."""

    site: Site
    clock: Clock
    sync: ClockSync = field(default_factory=FirstToKnow)
    throttled: Path = THROTTLED

    @property
    def folder(self) -> Path:
        """Where it keeps evidence."""
        return self.site.data_dir or state_dir(self.site) / self.site.device


def examine(config: Path, clock: Clock) -> Iterator[Finding]:
    """Look at everything; raises ConfigError when the site file itself is wrong."""
    patient = Patient(load(config), clock)
    return chain.from_iterable(check(patient) for check in CHECKS)


def _service(patient: Patient) -> Iterator[Finding]:
    known = service_state()
    if known.get("LoadState") != "loaded":
        text = "run tools/install_service.sh, or nothing watches when nobody is logged in"
        yield Finding("service", "warn", "not installed", text)
    elif known["ActiveState"] in ("failed", "inactive"):
        text = "see `journalctl -u edge-agent -n 50`, then `systemctl restart edge-agent`"
        yield Finding("service", "fail", f"{known['ActiveState']} ({known['Result']})", text)
    elif (restarts := known["NRestarts"]) != "0":
        text = "see `journalctl -u edge-agent -p warning` for why"
        yield Finding("service", "warn", f"{known['ActiveState']}, restarted {restarts}x", text)
    else:
        yield Finding("service", "pass", known["ActiveState"])


def service_state() -> dict[str, str]:
    """What systemd says of the service; empty without systemd."""
    names = "LoadState,ActiveState,Result,NRestarts"
    try:
        done = subprocess.run(
            ["systemctl", "show", SERVICE, f"--property={names}"],
            capture_output=True,
            text=True,
            timeout=5,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return {}
    return dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)


def _cameras(patient: Patient) -> Iterator[Finding]:
    """All at once: they share a network as they will in service."""
    is_running = service_state().get("ActiveState") == "active"
    cameras = patient.site.cameras
    with ThreadPoolExecutor(len(cameras)) as pool:
        look = lambda name: _camera(name, cameras[name], patient, is_running)  # noqa: E731
        yield from pool.map(look, cameras)


def _camera(name: str, camera: Camera, patient: Patient, is_running: bool) -> Finding:
    subject, settings = f"camera {name}", camera.source
    if settings is None:
        return Finding(subject, "fail", "no source", f"add cameras.{name}.source")
    if is_running and settings.kind in EXCLUSIVE:
        text = "`systemctl stop edge-agent` first to have it looked at"
        return Finding(subject, "warn", "in use by the service", text)
    clock, read = patient.clock, Timekeeper(patient.clock, patient.sync).read
    begin_s = clock.monotonic()
    try:
        source = open_live(settings, name, read)
        # closing makes a blocked read end, whatever it waits for
        with ThreadPoolExecutor(1) as reader:
            coming = reader.submit(lambda: next(iter(source.frames()), None))
            try:
                frame = coming.result(PICTURE_S)
            except TimeoutError:
                frame = None
            finally:
                source.close()
    except SourceError as error:
        return Finding(subject, "fail", "no picture", str(error))
    if frame is None:
        text = "is its lens covered, its stream stopped? Open it with another viewer"
        return Finding(subject, "fail", f"no picture within {PICTURE_S:g} s", text)
    took_s = clock.monotonic() - begin_s
    return Finding(subject, "pass", f"{frame.width}x{frame.height}, first after {took_s:.1f} s")


def _models(patient: Patient) -> Iterator[Finding]:
    site = patient.site
    detectors = Detectors(model_paths(site))
    for name, camera in site.cameras.items():
        model = camera.detector.model
        try:
            make_pipeline(name, camera, site, detectors.get(camera.detector))
        except EdgeError as error:
            yield Finding(f"models of {name}", "fail", "do not open", str(error))
            continue
        if model == "motion":
            text = "name a network as detector.model: what motion sees is never evidential"
            yield Finding(f"models of {name}", "warn", "motion only", text)
        else:
            yield Finding(f"models of {name}", "pass", model)
    try:
        make_redactor(site)
    except EdgeError as error:
        yield Finding("redaction", "fail", "its models do not open", str(error))


def _lines(patient: Patient) -> Iterator[Finding]:
    """Opened at rest, as the service begins: every call on, no alarm."""
    for name in patient.site.cameras:
        for silent in unfed(patient.site, name):
            what, _, remedy = silent.rpartition(": ")
            yield Finding(f"phases of {name}", "warn", what, remedy)
    gpio = patient.site.gpio
    if gpio is None:
        return
    if gpio.factory == "mock":
        text = "gpio.factory: libgpiod, or the controller hears of nothing"
        yield Finding("lines", "warn", "mock: nothing moves", text)
    elif service_state().get("ActiveState") == "active":
        yield Finding("lines", "pass", f"{gpio.chip}, in use by the service")
    else:
        try:
            count = open_lines(patient.site, gpio)
        except (ConfigError, SignalError) as error:
            yield Finding("lines", "fail", "cannot be opened", str(error))
        else:
            yield Finding("lines", "pass", f"{count} of {gpio.chip} can be opened")


def open_lines(site: Site, gpio: Gpio) -> int:
    """Take every line that the site file names and give it back; returns how many.

    Raises SignalError for the first that is not there or somebody else's.
    """
    contacts: dict[str, Contact | Output] = {f"calls.{n}": each for n, each in site.calls.items()}
    contacts |= {f"outputs.{name}": each for name, each in site.outputs.items()}
    contacts |= {"health_output": site.health_output} if site.health_output else {}
    lines, count = Lines(gpio), 0
    try:
        for where, contact in contacts.items():
            if contact.line is not None:
                lines.output(where, contact.line, contact.active_low)
                count += 1
        for name, phase in site.phases.items():
            for lamp in LAMPS:
                line = getattr(phase, lamp)
                lines.input(f"phases.{name}.{lamp}", line, phase.active_low, phase.pull)
                count += 1
    finally:
        lines.close()
    return count


def _broker(patient: Patient) -> Iterator[Finding]:
    mqtt = patient.site.mqtt
    if mqtt is None:
        yield Finding("broker", "warn", "none", "add an mqtt section, or nobody hears of events")
        return
    begin_s = patient.clock.monotonic()
    try:
        answer = ask_broker(mqtt, f"{patient.site.device}-doctor", patient.clock)
    except EdgeError as error:
        yield Finding("broker", "fail", "no connection", str(error))
        return
    took_ms = 1000 * (patient.clock.monotonic() - begin_s)
    found = f"{mqtt.host}:{mqtt.port}, accepted after {took_ms:.0f} ms"
    if mqtt.tls is None and mqtt.host not in ("localhost", "127.0.0.1", "::1"):
        text = "anybody on the way reads and forges: add mqtt.tls, use port 8883"
        yield Finding("broker", "warn", f"{found}, not encrypted", text)
    else:
        yield Finding("broker", "pass", found)
    yield from _of_broker(answer, patient.clock.now())


def _of_broker(answer: Answer, now: datetime) -> Iterator[Finding]:
    if answer.certificate is not None:
        text = "tell whoever runs the broker to renew it"
        yield _validity("broker's certificate", [answer.certificate], now, text)


def _certificates(patient: Patient) -> Iterator[Finding]:
    site, now = patient.site, patient.clock.now()
    for subject, path, remedy in _own_certificates(site):
        try:
            found = x509.load_pem_x509_certificates(path.read_bytes())
        except (OSError, ValueError) as error:
            yield Finding(subject, "fail", f"{path} cannot be read", str(error))
        else:
            yield _validity(subject, found, now, remedy)
    if not Home.of(state_dir(site), site.device, site.token).certificate.exists():
        yield Finding("device key", "warn", "none yet", "it is made when the service is started")


def _own_certificates(site: Site) -> Iterator[tuple[str, Path, str]]:
    tls = site.mqtt.tls if site.mqtt else None
    if tls is not None and tls.certificate is not None:
        yield "client certificate", tls.certificate, "have a new one issued: mqtt.tls.certificate"
    if tls is not None and tls.ca is not None:
        yield "broker's authority", tls.ca, "ask whoever runs the broker for the new mqtt.tls.ca"
    device = Home.of(state_dir(site), site.device, site.token).certificate
    if device.exists():
        yield (
            "device key",
            device,
            "have `edge-agent key csr` signed, then `edge-agent key install`",
        )


def _validity(
    subject: str, certificates: list[x509.Certificate], now: datetime, remedy: str
) -> Finding:
    """Of the one that ends first."""
    ends = min(each.not_valid_after_utc for each in certificates)
    begins = max(each.not_valid_before_utc for each in certificates)
    if now < begins:
        text = "the clock is wrong, or the certificate is not meant for now"
        return Finding(subject, "fail", f"valid from {begins:%Y-%m-%d}", text)
    if ends <= now:
        return Finding(subject, "fail", f"expired on {ends:%Y-%m-%d}", remedy)
    grade: Grade = "warn" if ends - now < RENEW else "pass"
    return Finding(
        subject, grade, f"valid until {ends:%Y-%m-%d}", remedy if grade == "warn" else ""
    )


def _secrets(patient: Patient) -> Iterator[Finding]:
    """What opens the broker or a camera is nobody else's to read."""
    open_files = [path for path in _secret_files(patient.site) if _is_open(path)]
    for path in open_files:
        yield Finding(f"secret {path.name}", "warn", "anybody may read it", f"`chmod o-rwx {path}`")


def _secret_files(site: Site) -> Iterator[Path]:
    mqtt, sources = site.mqtt, [camera.source for camera in site.cameras.values()]
    named = [mqtt.password_file, mqtt.tls.key if mqtt.tls else None] if mqtt else []
    named += [getattr(source, "credentials_file", None) for source in sources]
    named += [site.token.pin_file if site.token else None]
    yield from dict.fromkeys(path for path in named if path is not None)


def _is_open(path: Path) -> bool:
    try:
        return bool(path.stat().st_mode & 0o007)
    except OSError:  # whoever needs it says so
        return False


def _clock(patient: Patient) -> Iterator[Finding]:
    sync: Sync | None = patient.sync.state()
    if sync is None or not sync.is_trusted:
        found = "nobody knows how right it is" if sync is None else "not synchronised"
        text = "no case will be evidential: install chrony, open 123/udp and 4460/tcp (NTS)"
        yield Finding("clock", "fail", found, text)
        return
    yield Finding("clock", "pass", f"{sync.ref}, at most {sync.max_error_ms:.0f} ms off")


def _disk(patient: Patient) -> Iterator[Finding]:
    settings, folder = patient.site.evidence, patient.folder
    there = next(each for each in (folder, *folder.parents) if each.exists())
    try:
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        text = "is the card worn out (read-only), or does the folder belong to somebody else?"
        yield Finding("disk", "fail", f"{there}: {error.strerror}", text)
        return
    free_mb = (free_bytes(there) or 0) / 1e6
    found = f"{free_mb / 1000:.1f} GB free"
    if free_mb < settings.min_free_mb:
        text = f"below evidence.min_free_mb: free some at {there}"
        yield Finding("disk", "fail", found, text)
    elif settings.disk_budget_mb is not None and free_mb < settings.disk_budget_mb:
        text = f"evidence may take {settings.disk_budget_mb} MB: lower evidence.disk_budget_mb"
        yield Finding("disk", "warn", found, text)
    else:
        yield Finding("disk", "pass", found)


def _temperature(patient: Patient) -> Iterator[Finding]:
    celsius = temperature_c()
    if celsius is None:
        return
    grade: Grade = "fail" if celsius >= HOT_C else "warn" if celsius >= WARM_C else "pass"
    text = "" if grade == "pass" else "a heat sink, shade, a lighter model or fewer frames"
    yield Finding("temperature", grade, f"{celsius:.0f} C", text)


def _power(patient: Patient) -> Iterator[Finding]:
    """Only a Raspberry Pi tells."""
    try:
        bits = int(patient.throttled.read_text(), 16)
    except (OSError, ValueError):
        return
    since = bits >> _SINCE_START
    if bits & _UNDERVOLTAGE or since & _UNDERVOLTAGE:
        grade: Grade = "fail" if bits & _UNDERVOLTAGE else "warn"
        text = "a stronger supply (Pi 4: 5.1 V 3 A, Pi 5: 5 A) or a shorter, thicker cable"
        yield Finding("power", grade, "voltage too low", text)
    elif bits & _SLOWED or since & _SLOWED:
        yield Finding("power", "warn", "slowed down by heat", "a heat sink, shade or a fan")
    else:
        yield Finding("power", "pass", "enough, never slowed down")


CHECKS: tuple[Callable[[Patient], Iterator[Finding]], ...] = (
    _service,
    _cameras,
    _models,
    _lines,
    _broker,
    _certificates,
    _secrets,
    _clock,
    _disk,
    _temperature,
    _power,
)
"""In the order in which a technician reads them."""
