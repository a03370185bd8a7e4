"""A changed site file taken over by a running box, without losing what is going on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from edge_agent.config import Site
from edge_agent.errors import ConfigError
from edge_agent.identity import CameraOrigin
from edge_agent.live.appliance import Appliance
from edge_agent.live.camera import LiveCamera
from edge_agent.live.site_file import is_paced
from edge_agent.live.speaker import Speaker
from edge_agent.pipeline import Pipeline
from edge_agent.signals import relying

FIXED = ("site", "device", "state_dir", "data_dir", "device_key", "models_dir", "metrics")
"""What a box is; only a restart changes that."""
SHARED = ("evidence", "privacy", "plate_lists", "outputs", "calls")
"""What the pipelines of all cameras are made with."""
WIRES = ("gpio", "outputs", "calls", "phases", "health_output")
"""Sections that say what the lines are and do."""


def prepared(box: Appliance, site: Site) -> Callable[[], None]:
    """Make everything that is new, which may take long and touches nothing; returns the exchange.

    Raises ConfigError and ModelError for what is wrong; the exchange is the main thread's.
    """
    before = box.site
    _refuse_unchangeable(before, site)
    moved = [name for name in site.cameras if _is_moved(before, site, name)]
    sources = {name: box.make_source(site, name) for name in moved}
    pipelines = {
        name: box.make_pipeline(site, name)
        for name in site.cameras
        if name in moved or _is_changed(before, site, name)
    }
    fresh = {name: LiveCamera(name, sources[name], pipelines[name]) for name in moved}
    cameras = _origins(box, site, pipelines, fresh)
    speaker = box.speakers.next(box.journal.bundles, (before, site), cameras)
    return lambda: _exchange(box, site, pipelines, fresh, speaker)


def _origins(
    box: Appliance, site: Site, pipelines: Mapping[str, Pipeline], fresh: Mapping[str, LiveCamera]
) -> dict[str, CameraOrigin]:
    known = {**box.daemon.cameras, **fresh}
    models = {
        name: (pipelines.get(name) or known[name].pipeline).detector.model for name in site.cameras
    }
    return {name: CameraOrigin(known[name].source.media, model) for name, model in models.items()}


def _exchange(
    box: Appliance,
    site: Site,
    pipelines: Mapping[str, Pipeline],
    fresh: Mapping[str, LiveCamera],
    speaker: Speaker,
) -> None:
    before = box.site
    if not _are_same(before, site, WIRES) or _served(before) != _served(site):
        box.change_cabinet(site)
    box.site = site
    for name in [name for name in before.cameras if name not in site.cameras or name in fresh]:
        box.meanwhile(partial(box.daemon.remove, name))
    box.speak_anew(speaker, before)
    for name, pipeline in pipelines.items():
        if name in fresh:
            box.daemon.add(fresh[name])
        else:
            box.daemon.exchange(name, pipeline)  # seconds where it hangs, and nobody else's work
        box.beat(box.clock.monotonic())


def _refuse_unchangeable(before: Site, site: Site) -> None:
    changed = [part for part in FIXED if not _are_same(before, site, (part,))]
    changed += ["cameras.*.source"] if is_paced(before) != is_paced(site) else []
    if changed:
        raise ConfigError(
            f"{changed[0]}: cannot change while the box runs: restart it, e.g. "
            "`systemctl restart edge-agent`"
        )


def _served(site: Site) -> object:
    """What the lines know of the cameras: a call its zone, a phase those that rely on it.

    Nothing else of a camera: to take the lines anew puts every call on for half a minute.
    """
    if site.gpio is None:
        return None
    zones = [site.cameras[call.camera].zones[call.zone] for call in site.calls.values()]
    return zones, [list(relying(site, phase)) for phase in site.phases]


def _is_moved(before: Site, site: Site, name: str) -> bool:
    """True when its pictures come from elsewhere."""
    old = before.cameras.get(name)
    return old is None or old.source != site.cameras[name].source


def _is_changed(before: Site, site: Site, name: str) -> bool:
    is_same = _are_same(before, site, SHARED)
    return not is_same or before.cameras[name] != site.cameras[name]


def _are_same(before: Site, site: Site, parts: tuple[str, ...]) -> bool:
    return all(getattr(before, part, None) == getattr(site, part, None) for part in parts)
