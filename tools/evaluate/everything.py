"""Every rule at once, on any view: what a technician could switch on, all of it switched on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from edge_agent.types import JSON

VIEWS = Path(__file__).with_name("views.yaml")
STAFF = "plate,note\nB1,nobody in these clips\n"
"""The list of those whom the gate would let in; `play` writes it beside the site file."""
DEFAULT_MODEL = "yolox_nano"
DIRECTED = ("incident.red_light",)
"""Rules about a line that name the direction which they mean."""


@dataclass(frozen=True, slots=True)
class Template:
    """A rule and the role of the zone or line that it wants; without a role it wants none."""

    kind: str
    role: str = ""
    """Zones whose name begins with this, `line` for every line, `lot` where there are bays."""
    settings: Mapping[str, JSON] = field(default_factory=dict)

    def rules(self, view: Mapping[str, Any]) -> Iterator[dict[str, JSON]]:
        """The rule once for every zone or line of that role."""
        if not self.role:
            yield {"kind": self.kind, **self.settings}
            return
        key = "line" if self.role == "line" else "zone"
        names = view.get(f"{key}s", {})
        if self.role == "lot":
            if "bays" in view:
                yield {"kind": self.kind, **self.settings}
            return
        for name in names if key == "line" else [n for n in names if n.startswith(self.role)]:
            ways = {"direction": names[name]["to_right"]} if self.kind in DIRECTED else {}
            yield {"kind": self.kind, key: name, **ways, **self.settings}


TEMPLATES: Sequence[Template] = (
    Template("camera.health"),
    Template("flow.line_crossing", "line"),
    Template("flow.lane", "lane"),
    Template("flow.emergency_vehicle"),
    Template("plate.read"),
    Template("access.granted", "carriageway", {"lists": ["staff"], "output": "gate"}),
    Template("parking.bay", "lot"),
    Template("parking.availability", "lot"),
    Template("parking.ev_bay", "lot"),
    Template("parking.outside_bay", "lot"),
    Template("parking.illegal", "kerb", {"dwell_s": 5}),
    Template("incident.stopped_vehicle", "carriageway", {"dwell_s": 10}),
    Template("incident.wrong_way", "lane"),
    Template("incident.congestion", "lane"),
    Template("incident.crash", "carriageway"),
    Template("incident.debris", "carriageway"),
    Template("incident.smoke_fire"),
    Template("incident.red_light", "line", {"phase": "vehicles"}),
    Template("incident.pedestrian", "carriageway"),
    Template("incident.pedestrian", "crossing"),
    Template("incident.cyclist", "carriageway"),
    Template("incident.jaywalking", "crossing", {"phase": "walkers"}),
    Template("safety.helmet", "site"),
    Template("zone.loitering", "crossing", {"dwell_s": 30}),
    Template("zone.trespass", "closed"),
    Template("flow.crowd", "crossing", {"limit_persons": 8}),
)


def views() -> dict[str, dict[str, Any]]:
    """Clip (below the footage folder) -> its zones, lines and directions."""
    loaded: dict[str, dict[str, Any]] = yaml.safe_load(VIEWS.read_text(encoding="utf-8"))
    return {clip: _with_bays(view) for clip, view in loaded.items()}


def _with_bays(view: dict[str, Any]) -> dict[str, Any]:
    """The view with the bays of the file that it names as zones."""
    if "outlines" not in view:
        return view
    drawn = yaml.safe_load(VIEWS.with_name(view["outlines"]).read_text(encoding="utf-8"))
    width, height = drawn["size"]
    bays = {
        name: [[round(x / width, 4), round(y / height, 4)] for x, y in corners]
        for name, corners in drawn["outlines"].items()
    }
    zones = {**view["zones"], **bays}
    kept = {"zones": list(bays), "lot": "lot", "ev": list(bays)[:1], "every_s": 0}
    return {**view, "zones": zones, "bays": kept}


def site(clip: str, view: Mapping[str, Any], model: str | None = None) -> dict[str, Any]:
    """A site file with every rule for which the view has a place."""
    detector: dict[str, JSON] = {"model": model or view.get("model", DEFAULT_MODEL)}
    if "max_fps" in view:
        detector["max_fps"] = view["max_fps"]
    keys = ("zones", "lines", "directions", "ground", "bays")
    camera = {
        "detector": detector,
        **{key: view[key] for key in keys if key in view},
        "plates": {"regions": ["eu", "us"]},
        "rules": [rule for template in TEMPLATES for rule in template.rules(view)],
    }
    name = clip.replace("/", "-").rpartition(".")[0].replace("_", "-").replace(".", "-").lower()
    info = {"name": name[:60], "responsible": "City of Example", "safety_manager": "A. Example"}
    return {
        "site": info,
        "device": "evaluation",
        "plate_lists": {"staff": {"file": "staff.csv", "meaning": "allow"}},
        "outputs": {"gate": {}},
        "cameras": {"c1": camera},
    }
