"""The rules: a folder per family, registered here by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from edge_agent.analyzers.bays.availability import BayAvailability
from edge_agent.analyzers.bays.ev import EvBay
from edge_agent.analyzers.bays.outside import OutsideBay
from edge_agent.analyzers.bays.stays import BayStay
from edge_agent.analyzers.camera.health import CameraHealth
from edge_agent.analyzers.crash.crash import Crash
from edge_agent.analyzers.debris.debris import Debris
from edge_agent.analyzers.people.crowd import Crowd
from edge_agent.analyzers.people.helmet import Helmet
from edge_agent.analyzers.people.jaywalking import Jaywalking
from edge_agent.analyzers.people.loitering import Loitering, Trespass
from edge_agent.analyzers.people.pedestrian import Cyclist, Pedestrian
from edge_agent.analyzers.plates.access import AccessGranted
from edge_agent.analyzers.plates.reading import PlateReading
from edge_agent.analyzers.smoke.smoke_fire import SmokeFire
from edge_agent.analyzers.standing.illegal_parking import IllegalParking
from edge_agent.analyzers.standing.stopped_vehicle import StoppedVehicle
from edge_agent.analyzers.traffic.congestion import Congestion
from edge_agent.analyzers.traffic.emergency import EmergencyVehicle
from edge_agent.analyzers.traffic.lane_flow import LaneFlow
from edge_agent.analyzers.traffic.line_crossing import LineCrossing
from edge_agent.analyzers.traffic.red_light import RedLight
from edge_agent.analyzers.traffic.wrong_way import WrongWay
from edge_agent.analyzers.view import View
from edge_agent.config import Rule, RuleSettings
from edge_agent.ports import Analyzer


class Registered(NamedTuple):
    """How the site file's text for a rule becomes an analyzer."""

    settings: type[RuleSettings]
    make: Callable[[Any, View], Analyzer]


ANALYZERS = {
    "parking.illegal": Registered(IllegalParking.Settings, IllegalParking),
    "parking.bay": Registered(BayStay.Settings, BayStay),
    "parking.availability": Registered(BayAvailability.Settings, BayAvailability),
    "parking.ev_bay": Registered(EvBay.Settings, EvBay),
    "parking.outside_bay": Registered(OutsideBay.Settings, OutsideBay),
    "incident.stopped_vehicle": Registered(StoppedVehicle.Settings, StoppedVehicle),
    "flow.line_crossing": Registered(LineCrossing.Settings, LineCrossing),
    "flow.crowd": Registered(Crowd.Settings, Crowd),
    "incident.pedestrian": Registered(Pedestrian.Settings, Pedestrian),
    "incident.cyclist": Registered(Cyclist.Settings, Cyclist),
    "incident.jaywalking": Registered(Jaywalking.Settings, Jaywalking),
    "zone.loitering": Registered(Loitering.Settings, Loitering),
    "zone.trespass": Registered(Trespass.Settings, Trespass),
    "safety.helmet": Registered(Helmet.Settings, Helmet),
    "flow.lane": Registered(LaneFlow.Settings, LaneFlow),
    "flow.emergency_vehicle": Registered(EmergencyVehicle.Settings, EmergencyVehicle),
    "incident.wrong_way": Registered(WrongWay.Settings, WrongWay),
    "incident.congestion": Registered(Congestion.Settings, Congestion),
    "incident.crash": Registered(Crash.Settings, Crash),
    "incident.red_light": Registered(RedLight.Settings, RedLight),
    "incident.debris": Registered(Debris.Settings, Debris),
    "incident.smoke_fire": Registered(SmokeFire.Settings, SmokeFire),
    "camera.health": Registered(CameraHealth.Settings, CameraHealth),
    "plate.read": Registered(PlateReading.Settings, PlateReading),
    "access.granted": Registered(AccessGranted.Settings, AccessGranted),
}

DOCUMENTED = frozenset({"parking.illegal"})
"""Kinds that end in an evidence case."""


NEED_HEADS = frozenset({"safety.helmet"})
"""Kinds for which heads have to be looked at."""


def rule_settings() -> dict[str, type[RuleSettings]]:
    """What the site file may say for each kind of rule."""
    return {kind: registered.settings for kind, registered in ANALYZERS.items()}


def make_analyzer(rule: Rule, view: View) -> Analyzer:
    """The analyzer that a rule of the site file asks for, in its initial state."""
    return ANALYZERS[rule.kind].make(rule.settings, view)
