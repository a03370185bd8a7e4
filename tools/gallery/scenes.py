"""The scenes of the gallery."""

from __future__ import annotations

from collections.abc import Mapping

from edge_agent.demo import CLIP
from gallery import effects
from gallery.scene import Corner, Scene, Shown
from street.cars import ESTATE, HATCH, SALOON, VAN, Model
from street.story import BRAKE, Actor, Leg, Shape

Way = tuple[Corner, ...]
Colour = tuple[float, float, float]

UP: Way = ((-4.25, -9.0), (-4.25, 33.2), (-4.0, 37.0), (9.0, 37.0))
DOWN: Way = ((-7.55, 33.0), (-7.55, -6.0))
OVER: Way = ((-18.0, 37.2), (-7.3, 37.4))
MET: Way = ((13.0, 40.6), (4.0, 40.4), (-2.7, 37.9))
SUDDEN: Shape = ((0, 1), (0.97, 1), (1, 0.0))
BLUE: Colour = (0.012, 0.032, 0.095)
RED: Colour = (0.26, 0.014, 0.012)
GREY: Colour = (0.20, 0.205, 0.21)
WHITE: Colour = (0.46, 0.46, 0.45)
GREEN: Colour = (0.03, 0.085, 0.05)
ORANGE: Colour = (0.6, 0.22, 0.02)

KERB = ((-2.45, 9.4), (-0.1, 9.4), (-0.1, 22.6), (-2.45, 22.6))
CARRIAGEWAY = ((-8.5, 16.0), (-5.6, 11.2), (-0.1, 10.4), (-0.1, 28.4), (-9.1, 28.4))
CROSSING = ((-9.1, 28.6), (-0.1, 28.6), (-0.1, 32.6), (-9.1, 32.6))
LANE_UP = ((-5.8, 11.2), (-2.6, 10.4), (-2.6, 30.0), (-5.8, 30.0))
ALONG = ((-4.2, 11.0), (-4.2, 28.0))
MIDDLE = {"a": (-9.2, 25.2), "b": (-0.3, 25.2), "to_right": "towards", "to_left": "away"}


def car(name: str, leg: Leg, paint: Colour, model: Model = SALOON, plate: str = "EA 100") -> Actor:
    """A vehicle with one leg."""
    return Actor(name, (leg,), paint, model, plate)


def walker(name: str, leg: Leg, paint: Colour, helmet: Colour | None = None) -> Actor:
    """A person with one leg."""
    return Actor(name, (leg,), paint, helmet=helmet)


def halts(name: str, leg: Leg, way: Way, paint: Colour, model: Model = SALOON) -> Actor:
    """A vehicle that stays where its leg, which follows `way`, ends."""
    return Actor(name, (leg, _later(way)), paint, model, "EA 100")


def stands(name: str, spot: Corner, paint: Colour, model: Model = SALOON) -> Actor:
    """A vehicle that has stood there all along, looking up the street."""
    way = ((spot[0], spot[1] - 4), spot)
    return halts(name, Leg((-9.0, -4.0), way, BRAKE), way, paint, model)


def lies(
    name: str, since_s: float, spot: Corner, paint: Colour, size: tuple[float, float, float]
) -> Actor:
    """A thing that lies there since then."""
    way = ((spot[0], spot[1] - 0.3), spot)
    leg = Leg((since_s, since_s + 0.3), way, BRAKE, round_m=0.1)
    return Actor(name, (leg, _later(way)), paint, size=size)


def _later(way: Way) -> Leg:
    """On straight, long after the scene has ended."""
    (x, y), (before_x, before_y) = way[-1], way[-2]
    return Leg((900.0, 901.0), ((x, y), (2 * x - before_x, 2 * y - before_y)), round_m=0.1)


def _spoilt(
    kind: str, title: str, text: str, effect: effects.Effect, *, at_s: float | None = None
) -> Scene:
    """The demo street, with something done to the camera."""
    return Scene(
        seconds=34.0,
        film=CLIP,
        effect=effect,
        shows=(Shown(kind, title, text, at_s=at_s),),
        rules=({"kind": "camera.health"},),
    )


SCENES: Mapping[str, Scene] = {
    "street": Scene(
        seconds=65.0,
        film=CLIP,
        shows=(
            Shown("parking.illegal", "Illegal parking",
                  "stands where and when it must not; ends in a four-photo case."),
            Shown("flow.line_crossing", "Line counts",
                  "one event per vehicle, line and direction.", phase="end"),
            Shown("flow.lane", "Lane statistics",
                  "volume by class, speed, occupancy and headway, every minute.", phase="end",
                  at_s=47.0),
            Shown("plate.read", "Plates",
                  "told when two looks at a moving vehicle agree, else `unread` with the reason.",
                  phase="end", which=-3, at_s=9.6),
        ),
        rules=(
            {"kind": "parking.illegal", "zone": "kerb", "dwell_s": 15},
            {"kind": "flow.line_crossing", "line": "middle", "classes": ["vehicle"]},
            {"kind": "flow.lane", "zone": "lane_up", "line": "middle", "direction": "away"},
            {"kind": "plate.read"},
        ),
        zones={"kerb": KERB, "lane_up": LANE_UP},
        directions={"lane_up": ALONG},
        lines={"middle": MIDDLE},
        camera={"plates": {"regions": ["eu"]}},
    ),
    "gate": Scene(
        seconds=24.0,
        film=CLIP,
        shows=(
            Shown("incident.stopped_vehicle", "Stopped vehicle",
                  "stands on a carriageway, until the place is cleared."),
            Shown("access.granted", "Access",
                  "a plate of an allow list is agreed on: a gate's contact closes.", phase="end"),
        ),
        rules=(
            {"kind": "incident.stopped_vehicle", "zone": "kerb", "dwell_s": 8},
            {"kind": "access.granted", "zone": "carriageway", "lists": ["staff"],
             "output": "barrier"},
        ),
        zones={"carriageway": CARRIAGEWAY, "kerb": KERB},
        camera={"plates": {"regions": ["eu"]}},
        site_keys={
            "plate_lists": {"staff": {"file": "staff.csv", "meaning": "allow"}},
            "outputs": {"barrier": {}},
        },
        files={"staff.csv": "plate,note\nEA 417 KV,night shift\n"},
    ),
    "car-park": Scene(
        seconds=65.0,
        film=CLIP,
        shows=(
            Shown("parking.bay", "Parking bay",
                  "a stay with its plate, and what is to be paid for it.", phase="end", at_s=40.0),
            Shown("parking.availability", "Availability", "free bays, turnover and a forecast.",
                  phase="update", which=1),
            Shown("parking.ev_bay", "Bay for electric vehicles",
                  "a vehicle stands in it that is on no list of those that may."),
        ),
        rules=(
            {"kind": "parking.bay", "tariff": {"per_hour": 240, "currency": "EUR"}},
            {"kind": "parking.availability"},
            {"kind": "parking.ev_bay", "dwell_s": 8, "lists": ["electric"],
             "are_lists_complete": True},
        ),
        zones={"bay": ((-2.45, 10.4), (-0.1, 10.4), (-0.1, 15.9), (-2.45, 15.9)), "lot": KERB},
        camera={
            "plates": {"regions": ["eu"]},
            "bays": {"zones": ["bay"], "lot": "lot", "ev": ["bay"], "every_s": 1},
        },
        site_keys={"plate_lists": {"electric": {"file": "electric.csv", "meaning": "permit"}}},
        files={"electric.csv": "plate\nEA 900 E\n"},
    ),
    "outside": Scene(
        seconds=40.0,
        film=CLIP,
        shows=(
            Shown("parking.outside_bay", "Outside of all bays", "stands where there is no bay."),
        ),
        rules=({"kind": "parking.outside_bay", "dwell_s": 10},),
        zones={"bay": ((-2.45, 17.4), (-0.1, 17.4), (-0.1, 22.4), (-2.45, 22.4)), "lot": KERB},
        camera={"bays": {"zones": ["bay"], "lot": "lot", "every_s": 1}},
    ),
    "wrong-way": Scene(
        seconds=13.0,
        actors=(
            car("right way", Leg((0.0, 7.0), UP), GREY, ESTATE, "ED 318 PA"),
            car("wrong way", Leg((6.0, 12.5), ((-4.25, 33.0), (-4.25, -6.0))), RED, HATCH,
                "EC 280 LM"),
        ),
        shows=(
            Shown("incident.wrong_way", "Wrong way", "drives against the arrow of its lane."),
        ),
        rules=({"kind": "incident.wrong_way", "zone": "lane_up"},),
        zones={"lane_up": LANE_UP},
        directions={"lane_up": ALONG},
    ),
    "people": Scene(
        seconds=20.0,
        actors=(
            walker("in the road", Leg((0.0, 20.0), ((-5.0, 9.0), (-4.6, 28.0))), RED),
            Actor("cyclist", (Leg((2.0, 9.0), ((-7.6, 33.0), (-7.4, 4.0))),), GREEN,
                  is_riding=True),
            walker("crosses on red", Leg((6.0, 17.0), ((-13.5, 30.6), (1.5, 30.4))), BLUE),
        ),
        shows=(
            Shown("incident.pedestrian", "Pedestrian on the carriageway",
                  "walks where only vehicles may be."),
            Shown("incident.jaywalking", "Jaywalking",
                  "steps onto the crossing while the pedestrians' signal is red."),
        ),
        rules=(
            {"kind": "incident.pedestrian", "zone": "carriageway"},
            {"kind": "incident.cyclist", "zone": "carriageway"},
            {"kind": "incident.jaywalking", "zone": "crossing", "phase": "walkers"},
        ),
        zones={"carriageway": CARRIAGEWAY, "crossing": CROSSING},
        signals=(
            {"t_s": 0.0, "phase": "walkers", "state": "green"},
            {"t_s": 4.0, "phase": "walkers", "state": "red"},
        ),
    ),
    "cyclist": Scene(
        seconds=9.0,
        actors=(
            Actor("cyclist", (Leg((1.0, 7.5), ((-9.5, 22.0), (0.5, 9.0))),), GREEN,
                  is_riding=True),
        ),
        shows=(
            Shown("incident.cyclist", "Cyclist on the carriageway",
                  "rides a bicycle where only motor vehicles may be."),
        ),
        rules=({"kind": "incident.cyclist", "zone": "carriageway"},),
        zones={"carriageway": CARRIAGEWAY},
    ),
    "crowd": Scene(
        seconds=16.0,
        actors=(
            walker("goes in", Leg((1.0, 17.0), ((1.4, 27.0), (-1.3, 21.0), (-1.5, 11.5))), BLUE),
            *(walker(f"guest {i}", Leg((0.0, 17.0), ((x, y), (x + dx, y + 5)), round_m=0.1), paint)
            for i, (x, y, dx, paint) in enumerate(
                ((-3.2, 15.0, 0.6, RED), (-4.4, 16.5, 0.2, BLUE), (-2.0, 17.5, -0.4, GREY),
                 (-3.4, 19.0, 0.3, ORANGE), (-5.6, 18.0, 0.2, GREEN), (-1.4, 13.0, -0.3, WHITE))
            )),
        ),
        shows=(
            Shown("flow.crowd", "Crowd", "more persons in the zone than it should hold."),
            Shown("zone.loitering", "Loitering", "stays in the zone for longer than is usual."),
            Shown("zone.trespass", "Trespass", "is in a zone that is closed at this hour."),
        ),
        rules=(
            {"kind": "flow.crowd", "zone": "square", "limit_persons": 4},
            {"kind": "zone.loitering", "zone": "square", "dwell_s": 10},
            {"kind": "zone.trespass", "zone": "kerb"},
        ),
        zones={"square": CARRIAGEWAY, "kerb": KERB},
    ),
    "building-site": Scene(
        seconds=12.0,
        actors=(
            walker("bare head", Leg((0.0, 12.0), ((-2.2, 16.0), (-2.0, 10.5))), ORANGE),
            walker("yellow helmet", Leg((0.0, 12.0), ((-4.2, 11.5), (-3.6, 15.0))), ORANGE,
                   (0.7, 0.5, 0.02)),
            walker("white helmet", Leg((0.0, 12.0), ((-5.6, 15.5), (-5.4, 11.0))), GREY,
                   (0.75, 0.75, 0.72)),
        ),
        shows=(
            Shown("safety.helmet", "Helmet check",
                  "a person without a hard hat, once per visit, with whom to call."),
        ),
        rules=({"kind": "safety.helmet", "zone": "site"},),
        zones={"site": CARRIAGEWAY},
    ),
    "queue": Scene(
        seconds=26.0,
        actors=(
            *(
                halts(f"waits {i}", Leg((1.4 * i - 2.0, 1.4 * i + 5.0), way, BRAKE), way, paint,
                      model)
                for i, (paint, model) in enumerate(
                    ((GREY, SALOON), (RED, HATCH), (WHITE, ESTATE))
                )
                for way in (((-4.2, -9.0), (-4.2, 26.0 - 5.6 * i)),)
            ),
            car("runs the red", Leg((14.0, 20.5), DOWN), BLUE, SALOON, "EA 417 KV"),
        ),
        shows=(
            Shown("incident.congestion", "Congestion and queue length",
                  "vehicles stand in a lane; the queue is measured in metres."),
            Shown("incident.red_light", "Red light",
                  "crosses the stop line while its signal is red."),
        ),
        rules=(
            {"kind": "incident.congestion", "zone": "lane_up", "hold_s": 5},
            {"kind": "incident.red_light", "line": "stop", "direction": "towards",
             "phase": "vehicles"},
        ),
        zones={"lane_up": LANE_UP},
        directions={"lane_up": ALONG},
        lines={"stop": MIDDLE},
        signals=(
            {"t_s": 0.0, "phase": "vehicles", "state": "green"},
            {"t_s": 9.0, "phase": "vehicles", "state": "amber"},
            {"t_s": 12.0, "phase": "vehicles", "state": "red"},
        ),
    ),
    "crash": Scene(
        seconds=11.0,
        actors=(
            halts("is hit", Leg((3.98, 5.2), OVER, SUDDEN), OVER, WHITE, HATCH),
            halts("swerves", Leg((3.4, 5.2), MET, SUDDEN), MET, BLUE),
        ),
        shows=(
            Shown("incident.crash", "Crash", "the event says which cues fired."),
        ),
        rules=({"kind": "incident.crash"},),
    ),
    "debris": Scene(
        seconds=34.0,
        actors=(
            car("loses it", Leg((10.0, 15.0), UP), GREY, VAN),
            lies("crate", 12.1, (-4.3, 18.0), (0.32, 0.2, 0.09), (0.7, 0.5, 0.5)),
            car("passes", Leg((21.0, 27.0), DOWN), RED, HATCH),
        ),
        shows=(
            Shown("incident.debris", "Debris", "a thing lies on the road that never drove there."),
        ),
        rules=({"kind": "incident.debris", "zone": "carriageway"},),
        zones={"carriageway": CARRIAGEWAY},
    ),
    "fire": Scene(
        seconds=30.0,
        film=CLIP,
        effect=effects.smoke((1.1, 18.5, 0.15), 10.0, with_fire=True),
        shows=(
            Shown("incident.smoke_fire", "Smoke and fire", "advisory; the event says what it saw."),
        ),
        rules=({"kind": "incident.smoke_fire"},),
    ),
    "beacon": Scene(
        seconds=10.0,
        actors=(car("ambulance", Leg((0.0, 10.0), ((-4.25, 6.0), (-4.25, 33.2))), WHITE, VAN),),
        effect=effects.beacon(lambda t_s: (-4.25, 6.0 + 2.72 * t_s - 0.4, 2.25), 2.0),
        shows=(
            Shown("flow.emergency_vehicle", "Emergency vehicle",
                  "a flashing light; advisory, never an output."),
        ),
        rules=({"kind": "flow.emergency_vehicle"},),
    ),
    "moved": _spoilt("camera.moved", "Camera moved",
                     "evidence is suspended until the view is as it was.",
                     effects.pushed(14.0, (70, -30), 3.0)),
    "covered": _spoilt("camera.covered", "Camera covered", "something hides the view.",
                       effects.covered(14.0), at_s=14.4),
    "blurred": _spoilt("camera.blurred", "Camera blurred", "the picture has lost its edges.",
                       effects.blurred(14.0)),
    "frozen": _spoilt("camera.frozen", "Camera frozen", "pictures come, but always the same one.",
                      effects.frozen(14.0)),
    "dark": _spoilt("camera.dark", "Too dark", "nothing can be made out.",
                    effects.lit(14.0, 0.02), at_s=14.6),
    "overexposed": _spoilt("camera.overexposed", "Overexposed", "most of the picture is white.",
                           effects.lit(14.0, 9.0), at_s=14.4),
}  # fmt: skip
