"""Whether a camera's picture can be relied on, and since when not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any

from pydantic import Field

from edge_agent import config
from edge_agent.analyzers.camera.first_look import FirstLook
from edge_agent.analyzers.camera.latch import Latch
from edge_agent.analyzers.camera.stillness import Stillness
from edge_agent.analyzers.camera.view_check import ViewCheck
from edge_agent.analyzers.view import Happening, View, rule_name
from edge_agent.recollection import Moved
from edge_agent.types import JSON, Event, Phase, Scene

SAMPLE_S = 1.0
"""Pause between two looks; whatever is reported lasts for seconds."""


class CameraHealth:
    """`camera.health`: begin and end of whatever makes the picture unreliable.

    Emits `camera.covered`, `camera.blurred`, `camera.moved`, `camera.frozen`, `camera.dark` and
    `camera.overexposed`; the pipeline doubts every other event from begin to end. The view is
    learned during the first seconds and followed while all is well. A view that has moved stays
    moved until it is back, a restart notwithstanding, or until the camera's zones, lines or this
    rule are changed in the site file.
    """

    kind = "camera.health"

    class Settings(config.RuleSettings):
        """What the site file says beside `kind`."""

        after_s: Annotated[float, Field(ge=1, le=3600)] = 5.0
        """How long something must be wrong to begin, and right to end."""
        frozen_after_s: Annotated[float, Field(ge=5, le=3600)] = 10.0
        """How long the picture must stand; it ends as soon as the picture goes on."""
        tolerance: Annotated[float, Field(ge=0.01, le=0.5)] = 0.02
        """Share of the picture's width by which the view may move."""

    def __init__(self, settings: Settings, view: View) -> None:
        self._name = rule_name(self.kind, "view", settings)
        kinds = ("covered", "blurred", "moved", "dark", "overexposed")
        self._latches = {kind: Latch(settings.after_s) for kind in kinds}
        self._still = Stillness(settings.frozen_after_s)
        self._check = ViewCheck(settings.tolerance)
        self._first_look = FirstLook(self._check.hidden) if view.has_calls else None
        self._sampled_s: float | None = None
        self._told: dict[str, str] = {}
        """Kind -> the subject of what goes on."""

    @property
    def suspicion(self) -> str | None:
        """What may be wrong with the picture, before it has lasted; only where calls rest on it."""
        what = self._first_look.suspicion if self._first_look else None
        return f"camera perhaps {what}" if what else None

    def update(self, scene: Scene) -> Iterable[Event]:
        t_s = scene.frame.t_s
        if self._first_look is not None:
            self._first_look.see(scene.frame.small_grey, t_s, self._still.is_on)
        since_s = SAMPLE_S if self._sampled_s is None else t_s - self._sampled_s
        if since_s < SAMPLE_S:
            return
        self._sampled_s = t_s
        step_s = min(since_s, 2 * SAMPLE_S)  # a gap in the stream proves nothing
        grey = scene.frame.small_grey
        if self._still.update(grey, t_s):
            yield self._event(scene, "frozen", (self._still.is_on, self._still.begun_s), {})
        is_settled = all(latch.level_s == 0.0 for latch in self._latches.values())
        findings = self._check.judge(grey, t_s, step_s, is_settled=is_settled)
        for kind, finding in findings.items():
            latch = self._latches[kind]
            if latch.update(finding.holds, t_s, step_s):
                yield self._event(scene, kind, (latch.is_on, latch.since_s), finding.facts)

    def remember(self) -> JSON:
        latches = {
            kind: [latch.is_on, latch.since_s, latch.level_s]
            for kind, latch in self._latches.items()
        }
        state = {"latches": latches, "told": self._told}
        if self._first_look is not None:
            state["glance"] = self._first_look.remember()
        return {**state, "still": self._still.remember(), "view": self._check.remember()}

    def recall(self, state: JSON, moved: Moved) -> None:
        self._check.recall(state["view"])
        self._still.recall(state["still"], moved)
        if self._first_look is not None and "glance" in state:
            self._first_look.recall(state["glance"], moved)
        for kind, latch in self._latches.items():
            is_on, since_s, level_s = state["latches"][kind]
            latch.is_on, latch.since_s, latch.level_s = bool(is_on), moved(since_s), float(level_s)
        self._told = {str(kind): str(subject) for kind, subject in state["told"].items()}

    def finish(self, scene: Scene) -> Iterable[Event]:
        open_since = {kind: latch.since_s for kind, latch in self._latches.items() if latch.is_on}
        if self._still.is_on:
            open_since["frozen"] = self._still.begun_s
        for kind, since_s in open_since.items():
            yield self._event(scene, kind, (False, since_s), {"end_reason": "recording_ended"})

    def _event(
        self, scene: Scene, kind: str, state: tuple[bool, float], facts: Mapping[str, Any]
    ) -> Event:
        is_on, since_s = state
        lasted_s = round(scene.frame.t_s - since_s, 3)
        subject = self._told.get(kind, f"{self._name}/{kind}/{since_s:.3f}")
        if is_on:
            self._told[kind] = subject
        else:
            self._told.pop(kind, None)
        happening = Happening(f"camera.{kind}", subject, since_s)
        phase: Phase = "begin" if is_on else "end"
        return happening.event(scene, phase, None, {"lasted_s": lasted_s, **facts})
