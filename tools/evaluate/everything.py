"""Every rule at once, on any view: what a technician could switch on, all of it switched on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from edge_agent.types import JSON

VIEWS = Path(__file__).with_name("views.yaml")
DEFAULT_MODEL = "yolox_nano"
DIRECTED = ("incident.red_light",)
"""Rules about a line that name the direction which they mean."""


@dataclass(frozen=True, slots=True)
class Template:
    """A rule and the role of the zone or line that it wants; without a role it wants none."""

    kind: str
    role: str = ""
    """Zones whose name begins with this, or `line` for every line."""
    settings: Mapping[str, JSON] = field(default_factory=dict)

    def rules(self, view: Mapping[str, Any]) -> Iterator[dict[str, JSON]]:
        """The rule once for every zone or line of that role."""
        if not self.role:
            yield {"kind": self.kind, **self.settings}
            return
        key = "line" if self.role == "line" else "zone"
        names = view.get(f"{key}s", {})
        for name in names if key == "line" else [n for n in names if n.startswith(self.role)]:
            ways = {"direction": names[name]["to_right"]} if self.kind in DIRECTED else {}
            yield {"kind": self.kind, key: name, **ways, **self.settings}


TEMPLATES: Sequence[Template] = (
    Template("camera.health"),
    Template("flow.line_crossing", "line"),
    Template("flow.lane", "lane"),
    Template("flow.emergency_vehicle"),
    Template("plate.read"),
    Template("parking.illegal", "kerb", {"dwell_s": 5}),
    Template("incident.stopped_vehicle", "carriageway", {"dwell_s": 10}),
    Template("incident.wrong_way", "lane"),
    Template("incident.congestion", "lane"),
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
    return loaded


def site(clip: str, view: Mapping[str, Any], model: str | None = None) -> dict[str, Any]:
    """A site file with every rule for which the view has a place."""
    detector: dict[str, JSON] = {"model": model or view.get("model", DEFAULT_MODEL)}
    if "max_fps" in view:
        detector["max_fps"] = view["max_fps"]
    keys = ("zones", "lines", "directions", "ground")
    camera = {
        "detector": detector,
        **{key: view[key] for key in keys if key in view},
        "plates": {"regions": ["eu", "us"]},
        "rules": [rule for template in TEMPLATES for rule in template.rules(view)],
    }
    name = clip.replace("/", "-").rpartition(".")[0].replace("_", "-").replace(".", "-").lower()
    info = {"name": name[:60], "responsible": "City of Example", "safety_manager": "A. Example"}
    return {"site": info, "device": "evaluation", "cameras": {"c1": camera}}
