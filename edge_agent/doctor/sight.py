"""Whether there are pictures, and networks that look at them."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from edge_agent.assembly import Detectors, make_pipeline, make_redactor, model_paths
from edge_agent.config.models import Camera
from edge_agent.doctor.finding import Finding, Patient
from edge_agent.doctor.service import service_state
from edge_agent.errors import EdgeError, SourceError
from edge_agent.live.timekeeping import Timekeeper
from edge_agent.sources import open_live

PICTURE_S = 25.0
"""A camera that has not shown anything by then is not going to."""
EXCLUSIVE = ("v4l2", "picamera")
"""Kinds of cameras that only one program can open."""


def look_at_cameras(patient: Patient) -> Iterator[Finding]:
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


def look_at_models(patient: Patient) -> Iterator[Finding]:
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
