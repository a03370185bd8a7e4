"""The rules: one file per family, registered here by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from edge_agent.analyzers.access_granted import AccessGranted
from edge_agent.analyzers.bay import BayStay
from edge_agent.analyzers.bay_availability import BayAvailability
from edge_agent.analyzers.bay_ev import EvBay
from edge_agent.analyzers.bay_outside import OutsideBay
from edge_agent.analyzers.camera_health import CameraHealth
from edge_agent.analyzers.congestion import Congestion
from edge_agent.analyzers.crash import Crash
from edge_agent.analyzers.crowd import Crowd
from edge_agent.analyzers.debris import Debris
from edge_agent.analyzers.emergency import EmergencyVehicle
from edge_agent.analyzers.helmet import Helmet
from edge_agent.analyzers.illegal_parking import IllegalParking
from edge_agent.analyzers.jaywalking import Jaywalking
from edge_agent.analyzers.lane_flow import LaneFlow
from edge_agent.analyzers.line_crossing import LineCrossing
from edge_agent.analyzers.loitering import Loitering, Trespass
from edge_agent.analyzers.pedestrian import Cyclist, Pedestrian
from edge_agent.analyzers.plate_read import PlateReading
from edge_agent.analyzers.red_light import RedLight
from edge_agent.analyzers.smoke_fire import SmokeFire
from edge_agent.analyzers.stopped_vehicle import StoppedVehicle
from edge_agent.analyzers.view import View
from edge_agent.analyzers.wrong_way import WrongWay
from edge_agent.config import Rule, Settings
from edge_agent.ports import Analyzer


class Registered(NamedTuple):
    """How the site file's text for a rule becomes an analyzer."""

    settings: type[Settings]
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


def rule_settings() -> dict[str, type[Settings]]:
    """What the site file may say for each kind of rule."""
    return {kind: registered.settings for kind, registered in ANALYZERS.items()}


def make_analyzer(rule: Rule, view: View) -> Analyzer:
    """The analyzer that a rule of the site file asks for, in its initial state."""
    return ANALYZERS[rule.kind].make(rule.settings, view)
