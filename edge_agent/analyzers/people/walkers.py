"""Who walks, who rides and who sits in a vehicle."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from edge_agent.geometry import grow, overlap
from edge_agent.types import VEHICLES, Box, Detections, Scene, Track

Bike = Literal["bicycle", "motorcycle"]
BIKES: tuple[Bike, ...] = ("bicycle", "motorcycle")

RIDES = 0.2
"""A rider's bike is seen with at least this share of the person's own scores."""
SITS = 0.8
"""A person in a vehicle lies with this share of the box within the vehicle's ..."""
SILL = 0.15
"""... and ends at least this share of the vehicle's height above its lower edge."""
ASIDE = 0.25
"""Own sizes around a standing vehicle within which people get in and out."""


class Riders:
    """Votes over a track's life on whether a bike is under that person."""

    def __init__(self) -> None:
        self._persons: dict[int, float] = {}
        """Track -> sum of its scores."""
        self._bikes: dict[int, dict[Bike, float]] = {}
        """Track -> sum of the scores of what was under it."""

    def update(self, scene: Scene) -> None:
        """Look at every person that is seen in the scene."""
        for track in scene.ended:
            self._persons.pop(track.id, None)
            self._bikes.pop(track.id, None)
        persons = _seen_persons(scene)
        bikes = list(_bikes(scene.detections)) if persons else []
        for track in persons:
            self._persons[track.id] = self._persons.get(track.id, 0.0) + track.score
            person = track.seen or track.box
            ridden = [(score, bike) for score, bike, box in bikes if carries(box, person)]
            if ridden:
                score, bike = max(ridden)
                votes = self._bikes.setdefault(track.id, {})
                votes[bike] = votes.get(bike, 0.0) + score

    def bike(self, track: Track) -> Bike | None:
        """What the person rides, as far as anyone can tell; None for who walks."""
        votes = self._bikes.get(track.id, {})
        if not votes or sum(votes.values()) < RIDES * self._persons[track.id]:
            return None
        return max(votes, key=lambda bike: votes[bike])


def _seen_persons(scene: Scene) -> list[Track]:
    t_s = scene.frame.t_s
    return [track for track in scene.tracks if track.cls == "person" and track.last_s == t_s]


def _bikes(seen: Detections) -> Iterator[tuple[float, Bike, Box]]:
    """Score, kind and box of every bike, weak ones included."""
    for row, index in enumerate(seen.classes.tolist()):
        for bike in BIKES:
            if seen.names[index] == bike:
                yield float(seen.scores[row]), bike, Box(*seen.boxes[row].tolist())


def carries(bike: Box, person: Box) -> bool:
    """True when the person sits on the bike as far as two boxes can show it.

    The bike is under the person, of a size to be ridden, and not behind: its wheels stand no
    higher than the person's feet.
    """
    if not 0.25 <= bike.height / max(person.height, 1e-6) <= 1.25:
        return False
    across = min(bike.x2, person.x2) - max(bike.x1, person.x1)
    if across < 0.5 * min(bike.width, person.width):
        return False
    is_below = bike.y1 > person.y1 - 0.1 * person.height
    has_wheels_at_feet = bike.y2 >= person.y2 - 0.1 * person.height
    return is_below and has_wheels_at_feet and bike.y1 < person.y2 - 0.25 * bike.height


def vehicles(scene: Scene) -> list[Track]:
    """The motor vehicles that are followed, hidden ones included; motorcycles are not among."""
    return [t for t in scene.tracks if t.cls in VEHICLES and t.cls != "motorcycle"]


def is_occupant(person: Box, vehicle: Box) -> bool:
    """True for a driver or passenger: inside the vehicle's outline and above its lower edge."""
    is_within = overlap(person, vehicle) >= SITS * person.area
    return is_within and person.y2 <= vehicle.y2 - SILL * vehicle.height


def is_at_standing(person: Box, vehicle: Track) -> bool:
    """True for somebody close enough to a standing vehicle to be getting in or out."""
    if vehicle.still_since_s is None:
        return False
    near, (x, y) = grow(vehicle.box, ASIDE), person.foot
    return near.x1 <= x <= near.x2 and near.y1 <= y <= near.y2


def afoot(scene: Scene, riders: Riders) -> list[Track]:
    """The persons that walk or stand: neither riders nor occupants of vehicles."""
    walkers = [t for t in scene.tracks if t.cls == "person" and riders.bike(t) is None]
    outlines = [vehicle.box for vehicle in vehicles(scene)] if walkers else []
    return [t for t in walkers if not any(is_occupant(t.box, outline) for outline in outlines)]


def cyclists(scene: Scene, riders: Riders) -> list[Track]:
    """Those who ride a bicycle, each once: the rider where one is seen, else the moving bicycle.

    A bicycle that stands without a rider is parked; one within a vehicle's outline is carried.
    """
    found = [t for t in scene.tracks if t.cls == "person" and riders.bike(t) == "bicycle"]
    moving = [t for t in scene.tracks if t.cls == "bicycle" and t.still_since_s is None]
    persons = [track.box for track in _seen_persons(scene)] if moving else []
    outlines = [vehicle.box for vehicle in vehicles(scene)] if moving else []
    for track in moving:
        has_rider = any(carries(track.box, person) for person in persons)
        if not has_rider and not any(is_occupant(track.box, box) for box in outlines):
            found.append(track)
    return found


def each_once(scene: Scene, classes: frozenset[str]) -> list[Track]:
    """The tracks of these classes, each thing once: a driver is the vehicle, a bike its rider."""
    wanted = [track for track in scene.tracks if track.cls in classes]
    persons = [t.box for t in wanted if t.cls == "person" and t.last_s == scene.frame.t_s]
    outlines = [t.box for t in wanted if t.cls in VEHICLES and t.cls != "motorcycle"]
    found = []
    for track in wanted:
        is_ridden = track.cls in BIKES and any(carries(track.box, person) for person in persons)
        sits = track.cls == "person" and any(is_occupant(track.box, box) for box in outlines)
        if not is_ridden and not sits:
            found.append(track)
    return found
