"""What the parts of a site file lack of one another."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from edge_agent.config.models import Site
from edge_agent.config.signal_io import Call, Key, Line


def problems(site: Site) -> Iterator[tuple[Key, str]]:
    """Where, what is wrong and what to do."""
    yield from _wiring(site)
    yield from _photos(site)


def _wiring(site: Site) -> Iterator[tuple[Key, str]]:
    lines = list(_lines(site))
    if lines and site.gpio is None:
        where, line = lines[0]
        yield (
            where,
            f"line {line}: nothing drives it: add e.g. "
            "`gpio: {factory: libgpiod, chip: /dev/gpiochip0}`",
        )
    owners: dict[Line, Key] = {}
    for where, line in lines:
        if line in owners:
            yield (
                where,
                f"line {line} is that of {'.'.join(owners[line])} already: give each its own",
            )
        owners[line] = where
    for name in site.outputs.keys() & site.calls.keys():
        yield ("outputs", name), "a call has that name: what is told of both would be mixed up"
    for name, call in site.calls.items():
        for key, text in _call_problems(site, call):
            yield ("calls", name, key), text


def unfed(site: Site, name: str) -> list[str]:
    """What a live camera's rules will never say, because no lamp tells them of their phase."""
    camera = site.cameras[name]
    if camera.source is None:  # a recording's signals come with it
        return []
    wanted = ((rule.kind, getattr(rule.settings, "phase", None)) for rule in camera.rules)
    return [
        f"{kind} says nothing: no input feeds the phase {phase}: wire its lamps under `phases`"
        for kind, phase in wanted
        if phase is not None and phase not in site.phases
    ]


def _lines(site: Site) -> Iterator[tuple[Key, Line]]:
    for name, call in site.calls.items():
        yield ("calls", name, "line"), call.line
    for name, output in site.outputs.items():
        if output.line is not None:
            yield ("outputs", name, "line"), output.line
    for name, phase in site.phases.items():
        for lamp in ("red", "amber", "green"):
            yield ("phases", name, lamp), getattr(phase, lamp)
    if site.health_output is not None:
        yield ("health_output", "line"), site.health_output.line


def _call_problems(site: Site, call: Call) -> Iterable[tuple[str, str]]:
    camera = site.cameras.get(call.camera)
    if camera is None:
        yield "camera", f"there is no camera `{call.camera}`; known: {', '.join(site.cameras)}"
        return
    if call.zone not in camera.zones:
        known = ", ".join(camera.zones) or "none: draw one under its `zones`"
        yield "zone", f"camera {call.camera} has no zone `{call.zone}`; known: {known}"
    if call.phase is not None and call.phase not in site.phases:
        known = ", ".join(site.phases) or "none: wire its lamps under `phases`"
        yield "phase", f"there is no phase `{call.phase}`; known: {known}"
    fps = camera.detector.max_fps
    if fps is not None and call.max_age_s is not None and call.max_age_s < 2 / fps:
        yield (
            "max_age_s",
            f"{call.max_age_s:g} s: camera {call.camera} looks {fps:g} times a second "
            f"(`detector.max_fps`), so its latest picture is often older: give {2 / fps:g} or more",
        )
    if camera.detector.rest:
        yield (
            "camera",
            f"camera {call.camera} may rest (`detector.rest`), and then sees who comes too late "
            "for a call: leave that out",
        )
    if not any(rule.kind == "camera.health" for rule in camera.rules):
        yield (
            "camera",
            f"camera {call.camera} would not notice that it is covered or frozen: add the rule "
            "`{kind: camera.health}`, so that this brings the call",
        )


def _photos(site: Site) -> Iterator[tuple[Key, str]]:
    """What it wants to send and does not make."""
    media = site.mqtt.media if site.mqtt else None
    if media is not None and not (media.originals or site.privacy.redact):
        yield (
            ("mqtt", "media"),
            "there are no redacted copies to send while `privacy.redact` is off: switch that on, "
            "or send the pictures as they are with `originals: true`",
        )
