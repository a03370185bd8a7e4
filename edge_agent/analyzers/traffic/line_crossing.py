"""Counts who crosses a line, by class and direction."""

from __future__ import annotations

from collections.abc import Iterable

from edge_agent import config
from edge_agent.analyzers.traffic.crossing import Anchor, Crossings
from edge_agent.analyzers.view import Happening, View, expand_classes, rule_name
from edge_agent.types import Event, Scene


class LineCrossing:
    """`flow.line_crossing`: one event per object, line and direction change; phase `end`."""

    kind = "flow.line_crossing"

    class Settings(config.RuleSettings):
        """What the site file says beside `kind`."""

        line: str
        classes: tuple[str, ...] = ("vehicle", "bicycle", "person")
        anchor: Anchor = "centre"
        """The point of the box that has to cross."""

    def __init__(self, settings: Settings, view: View) -> None:
        self._line = settings.line
        self._name = rule_name(self.kind, settings.line, settings)
        classes = expand_classes(settings.classes)
        self._crossings = Crossings(view.lines[settings.line], classes, settings.anchor)

    def update(self, scene: Scene) -> Iterable[Event]:
        for crossing in self._crossings.update(scene):
            subject = f"{self._name}/{crossing.track.id}/{crossing.count}"
            happening = Happening(self.kind, subject, scene.frame.t_s)
            facts = {"line": self._line, "direction": crossing.direction}
            yield happening.event(scene, "end", crossing.track, facts)

    def finish(self, scene: Scene) -> Iterable[Event]:
        self._crossings.clear()
        return ()
