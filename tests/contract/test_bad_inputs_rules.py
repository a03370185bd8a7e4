"""Rules, ground, bays, signals and the models of closer looks that are not what they should be."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from edge_agent.app import check_site, load
from edge_agent.config import BaySettings, HeadSettings
from edge_agent.errors import ConfigError, EdgeError, ModelError
from edge_agent.plates.rows import read_rows
from edge_agent.signals import open_recorded
from edge_agent.vision import open_bay_watcher, open_head_finder
from edge_agent.vision.plates.finder import open_finder

Outcome = subprocess.CompletedProcess[str]

SITE = """\
site: {name: bad-rules, responsible: "Example, +49 30 1234"}
device: box
cameras:
  north:
    detector: {model: motion}
    ground:
      - {picture: [0.1, 0.8], metres: [-6, 12]}
      - {picture: [0.6, 0.8], metres: [-1, 12]}
      - {picture: [0.7, 0.3], metres: [-1, 30]}
      - {picture: [0.3, 0.3], metres: [-9, 30]}
    zones:
      lane: [[0.1, 0.3], [0.9, 0.3], [0.9, 1.0], [0.1, 1.0]]
      bay: [[0.1, 0.3], [0.4, 0.3], [0.4, 1.0]]
    directions: {lane: [[0.5, 0.9], [0.5, 0.3]]}
    lines: {stop: {a: [0.1, 0.5], b: [0.9, 0.5], to_right: in, to_left: out}}
    rules:
      - {kind: incident.wrong_way, zone: lane}
      - {kind: incident.red_light, line: stop, direction: in, phase: cars}
      - {kind: incident.jaywalking, zone: lane, phase: walkers}
      - {kind: safety.helmet, zone: lane}
      - {kind: flow.crowd, zone: lane, limit_persons: 10}
"""
BAYS = "    directions: {lane"
MISTAKES: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "arrow-point": ("[0.5, 0.9], [0.5, 0.3]]}", "[0.5, 0.9], [0.5, 0.9]]}", (":14:", "two diff")),
    "arrow-short": ("[0.5, 0.9], [0.5, 0.3]]}", "[0.5, 0.9]]}", (":14:", "is missing")),
    "arrow-px": ("[0.5, 0.9]", "[320, 0.9]", (":14:", "320 is above 1", "divide pixels")),
    "no-arrow": ("    directions: {lane: [[0.5, 0.9], [0.5, 0.3]]}\n", "", (":16:", "add `direct")),
    "ground-px": ("[0.7, 0.3]", "[448, 0.3]", (":9:", "448 is above 1", "divide pixels")),
    "ground-line": ("[0.3, 0.3]", "[0.65, 0.55]", (":6:", "lie on one line")),
    "ground-mixed-up": ("[-1, 30]", "[-20, 30]", (":6:", "mixed up")),
    "ground-nan": ("[-1, 30]", "[.nan, 30]", (":9:", ".nan is not a number")),
    "ground-far": ("[-1, 30]", "[-1, 1e300]", (":9:", "1e+300 is above 100000")),
    "no-phase": (", phase: cars", "", (":18:", "phase", "is missing; add `phase:`")),
    "phase-name": ("phase: cars", "phase: Main St", (":18:", "`Main St` cannot be a name")),
    "direction": ("direction: in", "direction: on", (":18:", "rules[1].direction", "`on`")),
    "negative": ("phase: walkers", "phase: w, clearance_s: -1", (":19:", "-1 is below 0; write s")),
    "nobody": (', responsible: "Example, +49 30 1234"', "", (":20:", "nobody is named whom")),
    "too-rare": ("helmet, zone: lane", "helmet, zone: lane, sightings: 50",
                 (":20:", "50 within 10 s", "raise `max_fps`")),
    "no-class": ("phase: cars", "phase: cars, classes: []", (":18:", "names nothing to watch for")),
    "no-crowd": ("limit_persons: 10", "limit_persons: 0", (":21:", "limit_persons: 0 is")),
    "bay-twice": (BAYS, f"    bays: {{zones: [bay, bay]}}\n{BAYS}", (":14:", "`bay` is listed tw")),
    "bay-motion": (BAYS, f"    bays: {{zones: [bay], model: motion}}\n{BAYS}",
                   (":4:", "motion cannot see parked vehicles")),
    "reads": (BAYS, f"    plates: {{regions: [eu], max_reads_per_s: 0}}\n{BAYS}",
              (":14:", "0 is not above 0; write how many per second, e.g. 2")),
}  # fmt: skip
"""Sites that are wrong in one place: what is replaced by what, and what has to be said of it."""


def check(config: Path, out: Path) -> None:
    check_site(load(config), config, [], out)


def write(folder: Path, text: str) -> Path:
    path = folder / "site.yaml"
    path.write_text(text)
    return path


@pytest.mark.parametrize("name", MISTAKES)
def test_one_mistake(tmp_path: Path, name: str) -> None:
    old, new, words = MISTAKES[name]
    assert SITE.count(old) == 1
    path = write(tmp_path, SITE.replace(old, new))
    with pytest.raises(EdgeError) as caught:
        load(path)
    (line,) = str(caught.value).splitlines()
    assert line.startswith(f"{path}:") and caught.value.exit_code == 78
    assert [word for word in words if word not in line] == [], line


def test_the_site_without_a_mistake(tmp_path: Path) -> None:
    """More points than needed, three of them on one line, are no mistake."""
    more = "      - {picture: [0.35, 0.8], metres: [-3.5, 12]}\n    zones:"
    path = write(tmp_path, SITE.replace("    zones:", more))
    assert len(load(path).cameras["north"].ground or ()) == 5


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("phase: cars", "phase: cars, classes: [car, truk]", ("red_light", "did you mean `truck`")),
        ("phase: cars", "phase: cars, classes: [bicycle]", ("red_light", "bicycle", "person, veh")),
    ],
)
def test_a_rule_that_could_never_report_anything(
    tmp_path: Path, old: str, new: str, words: tuple[str, ...]
) -> None:
    text = SITE.replace("      - {kind: safety.helmet, zone: lane}\n", "").replace(old, new)
    with pytest.raises(EdgeError) as caught:
        check(write(tmp_path, text), tmp_path)
    said = str(caught.value)
    assert caught.value.exit_code == 78
    assert [word for word in words if word not in said] == [], said


GOOD = '{"t_s": 1, "phase": "cars", "state": "red"}'
SIGNALS: dict[str, tuple[str, tuple[str, ...]]] = {
    "huge-number": (GOOD.replace("1,", "1" + "0" * 400 + ","), (":1:", "t_s", "to calculate with")),
    "huger": (GOOD.replace("1,", "1" + "0" * 5000 + ","), (":1:", "t_s", "to calculate with")),
    "deep": ("[" * 100_000, (":1:", "is not a JSON object", "expected lines such as")),
    "twice": (GOOD.replace("1,", '1, "t_s": 2,'), (":1:", "holds a key twice")),
    "colour": (GOOD.replace("red", "yellow"), (":1:", "`yellow` is not one of `red`, `amber`")),
    "key": (GOOD.replace("state", "stat"), (":1:", "stat: unknown key; did you mean `state`?")),
    "csv": ("t_s,phase,state\r\n1,cars,red\r\n", (":1:", "is not a JSON object")),
    "phases": ("\n".join(GOOD.replace("cars", f"p{i}") for i in range(300)), (":256:", "`p255`")),
}  # fmt: skip
"""Recordings of signals, and what has to be said of them."""


@pytest.mark.parametrize("name", SIGNALS)
def test_bad_signals(tmp_path: Path, name: str) -> None:
    content, words = SIGNALS[name]
    (tmp_path / "signals.jsonl").write_text(content)
    with pytest.raises(EdgeError) as caught:
        open_recorded(tmp_path / "street.mp4")
    (said,) = str(caught.value).splitlines()
    assert len(said) < 400 and str(tmp_path / "signals.jsonl") in said
    assert [word for word in words if word not in said] == [], said


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_signals_as_other_systems_write_them(tmp_path: Path, end: str) -> None:
    lines = [GOOD, GOOD.replace("1,", "2,").replace("red", "green"), ""]
    (tmp_path / "signals.jsonl").write_bytes(b"\xef\xbb\xbf" + end.join(lines).encode())
    signals = open_recorded(tmp_path / "street.mp4")
    assert signals is not None and signals.phases == {"cars": 1.0}
    assert [dict(signals.at(t_s)) for t_s in (0, 1, 2)] == [{}, {"cars": "red"}, {"cars": "green"}]


RED_LIGHT = SITE.replace("      - {kind: safety.helmet, zone: lane}\n", "")


def test_signals_that_the_rules_wait_for_in_vain(
    *,
    edge_agent: Callable[..., Outcome],
    refused: Callable[..., None],
    make_video: Callable[..., Path],
    tmp_path: Path,
) -> None:
    video, site = make_video(tmp_path / "street.mp4", 10), write(tmp_path, RED_LIGHT)
    command = ("replay", video, "--config", site, "--out", tmp_path / "out", "--overwrite")
    start = ("--start", "2026-01-01")
    without = ("incident.red_light can report nothing", "no recorded signals", "street.signals.jso")
    refused(edge_agent(*command, *start), 0, *without, "incident.jaywalking", lines=2)
    late = GOOD.replace("cars", "walkers").replace("1,", "1000,")
    lines = "\n".join([GOOD.replace("cars", "car"), late])
    (tmp_path / "street.signals.jsonl").write_text(lines)
    never = ("never show the phase `cars`; did you mean `car`?", "first told of at 1000 s")
    refused(edge_agent(*command, *start), 0, *never, lines=2)
    (tmp_path / "street.signals.jsonl").write_text(lines.replace('"car"', '"cars"') + " nonsense")
    refused(edge_agent(*command, *start), 1, "street.signals.jsonl:2: is not a JSON object")


def test_lists_as_spreadsheets_write_them(tmp_path: Path) -> None:
    head, path = "plate;valid_from;valid_until;note", tmp_path / "staff.csv"
    rows = ["B-AB 1234;2026-01-01;9999-12-31;Müller GmbH", 'M X 1;;;"two\r\nlines"', "M X 1;;;"]
    for end in ("\r\n", "\r", "\n"):
        path.write_bytes(b"\xef\xbb\xbf" + end.join([head, *rows, ""]).encode())
        first, *rest = (row.entry for row in read_rows(path))
        assert (first.plate, first.valid_until, first.note) == ("BAB1234", None, "Müller GmbH")
        assert [entry.plate for entry in rest] == ["MX1", "MX1"]


def test_models_that_cannot_do_what_they_are_named_for() -> None:
    models = [Path(__file__).resolve().parents[2] / "models"]
    with pytest.raises(ModelError, match="'motion': has no weights and can only be a camera's"):
        open_head_finder(HeadSettings(model="motion"), models)
    with pytest.raises(ModelError, match=r"helmets: it finds no number plates.*`plates\.finder`"):
        open_finder("helmets", models)
    with pytest.raises(ModelError, match=r"finds no vehicles, only head, helmet.*under `bays`"):
        open_bay_watcher(BaySettings(zones=("a",)), "helmets", {}, models)


def test_a_model_that_the_site_file_does_not_name_says_who_needs_it(tmp_path: Path) -> None:
    text = SITE.replace("    ground:", "    plates: {regions: [eu], recogniser: gone}\n    ground:")
    with pytest.raises(
        ConfigError, match=r"yaml:\d+: cameras\.north\.plates\.recogniser: model 'gone': no card"
    ):
        check(write(tmp_path, text), tmp_path)


def test_a_camera_whose_model_sees_nothing_that_its_rules_want(tmp_path: Path) -> None:
    text = SITE.replace("model: motion", "model: helmets")
    with pytest.raises(
        EdgeError, match=r"wrong_way: watches for vehicle, but .* only head, helmet"
    ):
        check(write(tmp_path, text), tmp_path)
