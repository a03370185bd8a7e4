"""What a site file must say so that traffic rules know which way is right."""

from pathlib import Path

import pytest

from edge_agent.analyzers import rule_settings
from edge_agent.analyzers.view import View
from edge_agent.config import Site, load_site
from edge_agent.errors import ConfigError

GOOD = """\
site: {name: crossing}
device: box-1
cameras:
  north:
    zones:
      lane: [[0, 0.5], [1, 0.5], [1, 1], [0, 1]]
      kerb: [[0, 0], [1, 0], [1, 0.4]]
    directions:
      lane: [[0.1, 0.7], [0.9, 0.7]]
    lines:
      stop: {a: [0.5, 1], b: [0.5, 0], to_right: east, to_left: west}
    rules:
      - {kind: incident.wrong_way, zone: lane}
      - {kind: incident.congestion, zone: lane}
      - {kind: incident.red_light, line: stop, direction: east, phase: main}
      - {kind: flow.lane, zone: lane}
      - {kind: flow.lane, line: stop, direction: west}
      - {kind: flow.emergency_vehicle}
"""


def read(folder: Path, text: str) -> Site:
    path = folder / "site.yaml"
    path.write_text(text)
    return load_site(path, rule_settings())


def test_the_view_knows_the_directions(tmp_path: Path) -> None:
    site = read(tmp_path, GOOD)
    view = View.of("north", site.cameras["north"], site.site)
    assert view.directions == {"lane": ((0.1, 0.7), (0.9, 0.7))}


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "      lane: [[0.1",
            "      lain: [[0.1",
            "9: cameras.north.directions.lain: this",
        ),
        ("[0.9, 0.7]]", "[0.1, 0.7]]", "9: cameras.north.directions.lane: an arrow needs two"),
        ("[0.9, 0.7]]", "[9, 0.7]]", "9: cameras.north.directions.lane[1][0]: 9 is above 1"),
        ("[0.9, 0.7]]", "[0.9, 0.7], [1, 1]]", "9: cameras.north.directions.lane: "),
        ("way, zone: lane", "way, zone: kerb", "13: cameras.north.rules[0].zone: nothing says"),
        ("congestion, zone: lane", "congestion, zone: kerb", "14: cameras.north.rules[1].zone: no"),
        (
            "line: stop, direction: east",
            "line: halt, direction: east",
            "15: cameras.north.rules[2].",
        ),
        ("direction: east", "direction: north", "15: cameras.north.rules[2].direction: `north` is"),
        ("flow.lane, zone: lane", "flow.lane, zone: kerb", "16: cameras.north.rules[3].zone: noth"),
        ("flow.lane, zone: lane", "flow.lane", "16: cameras.north.rules[3]: a lane needs a `zone`"),
        ("direction: west", "direction: up", "17: cameras.north.rules[4].direction: `up` is no "),
    ],
)
def test_what_is_missing_is_named(tmp_path: Path, old: str, new: str, said: str) -> None:
    assert old in GOOD
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, GOOD.replace(old, new))
    assert f"site.yaml:{said}" in str(caught.value)
