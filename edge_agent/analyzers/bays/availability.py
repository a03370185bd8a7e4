"""How many bays are free: at every change and once in a while, with a forecast."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Annotated, Any

from pydantic import Field

from edge_agent import config
from edge_agent.analyzers.bays.forecast import OccupancyForecast
from edge_agent.analyzers.bays.sessions import (
    BaySessions,
    Confirm,
    Session,
    bay_settings,
    bays_missing,
)
from edge_agent.analyzers.view import Happening, View, rule_name
from edge_agent.config import Camera, SiteInfo
from edge_agent.recollection import Moved, moment_of
from edge_agent.types import JSON, Event, Scene

HOUR_S = 3600.0


class BayAvailability:
    """`parking.availability`: an update at every change and every `update_s`.

    It counts the bays that are free, taken and unknown, names those taken, tells the turnover of
    the last hour and, once it has history, how many will be taken in an hour.
    """

    kind = "parking.availability"

    class Settings(config.RuleSettings):
        """What the site file says beside `kind`."""

        confirm_s: Confirm = None
        update_s: Annotated[float, Field(gt=0, le=86_400)] = 60.0

        def problems(self, camera: Camera, site: SiteInfo) -> Iterable[tuple[str, str]]:
            return bays_missing(camera)

    def __init__(self, settings: Settings, view: View) -> None:
        self._update_s = settings.update_s
        self._timezone = view.timezone
        self._lot = bay_settings(view).lot
        self._name = rule_name(self.kind, self._lot or view.camera, settings)
        self._sessions = BaySessions(view, settings.confirm_s)
        self._forecast = OccupancyForecast(len(bay_settings(view).zones))
        self._begin_s: float | None = None
        self._arrived: deque[float] = deque()
        self._departed: deque[tuple[float, Session]] = deque()
        self._reported: tuple[float, list[str]] | None = None

    def update(self, scene: Scene) -> Iterable[Event]:
        t_s = scene.frame.t_s
        for change, session in self._sessions.update(scene):
            if change == "ended":
                self._departed.append((t_s, session))
            elif session.free_s is not None:
                self._arrived.append(t_s)
        if scene.bays is None:
            return
        self._begin_s = t_s if self._begin_s is None else self._begin_s
        taken = [bay.name for bay in self._sessions.bays if bay.is_taken]
        self._forecast.observe(scene.frame.wall.astimezone(self._timezone), len(taken))
        is_due = self._reported is None or t_s - self._reported[0] >= self._update_s
        if is_due or (self._reported and self._reported[1] != taken):
            self._reported = (t_s, taken)
            yield self._event(scene, taken, self._begin_s)

    def finish(self, scene: Scene) -> Iterable[Event]:
        return ()

    def remember(self) -> JSON:
        return {
            "sessions": self._sessions.remember(),
            "forecast": self._forecast.to_json(),
            "begin_s": self._begin_s,
            "arrived": list(self._arrived),
            "departed": [[t_s, session.remember()] for t_s, session in self._departed],
        }

    def recall(self, state: JSON, moved: Moved) -> None:
        self._sessions.recall(state["sessions"], moved)
        self._forecast = OccupancyForecast.from_json(state["forecast"])
        self._begin_s = moment_of(state["begin_s"], moved)
        self._arrived = deque(moved(t_s) for t_s in state["arrived"])
        departed = ((moved(t_s), Session.of(each, moved)) for t_s, each in state["departed"])
        self._departed = deque(departed)

    def _event(self, scene: Scene, taken: list[str], begin_s: float) -> Event:
        states = [bay.is_taken for bay in self._sessions.bays]
        facts = {
            "bays": len(states),
            "free": states.count(False),
            "occupied": states.count(True),
            "unknown": states.count(None),
            "occupied_bays": taken,
            "turnover": self._turnover(scene.frame.t_s, begin_s, len(states)),
            "forecast": self._outlook(scene, len(taken)),
        }
        happening = Happening(self.kind, self._name, begin_s, self._lot)
        return happening.event(scene, "update", None, facts)

    def _turnover(self, t_s: float, begin_s: float, bays: int) -> dict[str, JSON]:
        """Arrivals and departures within the last hour, or since the first look if later."""
        while self._arrived and t_s - self._arrived[0] > HOUR_S:
            self._arrived.popleft()
        while self._departed and t_s - self._departed[0][0] > HOUR_S:
            self._departed.popleft()
        stays = [session.dwell_s for _, session in self._departed if session.free_s is not None]
        return {
            "span_s": round(min(HOUR_S, t_s - begin_s), 3),
            "arrivals": len(self._arrived),
            "departures": len(self._departed),
            "departures_per_bay": round(len(self._departed) / bays, 4),
            "mean_stay_s": round(sum(stays) / len(stays), 3) if stays else None,
        }

    def _outlook(self, scene: Scene, taken: int) -> dict[str, Any]:
        local = scene.frame.wall.astimezone(self._timezone)
        found = self._forecast.forecast(local, taken)
        if found is None:
            return {"occupied": None, "reason": "no history of this time of day"}
        errors = self._forecast.error, self._forecast.error_as_now
        return {
            "occupied": round(found.taken, 2),
            "low": None if found.low is None else round(found.low, 2),
            "high": None if found.high is None else round(found.high, 2),
            "days": found.days,
            "mean_error": round(errors[0].value, 3) if errors[0].count else None,
            "mean_error_as_now": round(errors[1].value, 3) if errors[1].count else None,
        }
