"""A site file is read whole, and every mistake in it is named with its line and its remedy."""

from __future__ import annotations

import hashlib
from datetime import time
from itertools import pairwise
from pathlib import Path
from typing import Annotated

import jsonschema
import pytest
import yaml
from pydantic import Field

from edge_agent.config import RuleSettings
from edge_agent.config.load import load_site, site_schema, site_sha256
from edge_agent.config.models import Site
from edge_agent.errors import ConfigError


class Hours(RuleSettings):
    start: Annotated[time, Field(alias="from")] = time(0)
    end: Annotated[time, Field(alias="to")] = time(0)


class Parking(RuleSettings):
    zone: str
    dwell_s: Annotated[float, Field(gt=0)] = 60.0
    share: Annotated[float, Field(ge=0, le=1)] = 0.5
    schedule: tuple[Hours, ...] = ()
    when: str | None = None


class Count(RuleSettings):
    line: str
    zones: list[str] = Field(default_factory=list)
    limit: int | list[int] = 3


RULES: dict[str, type[RuleSettings]] = {"parking.illegal": Parking, "flow.count": Count}

GOOD = """\
site: {name: demo-street, timezone: Europe/Berlin, responsible: Tiefbauamt Süd 街道}
device: box-1
models_dir: weights
state_dir: ~/state
mqtt:
  host: broker.local
  protocol: 5
  password_file: secret.txt
  tls: {ca: /etc/ca.pem, key: tls/key.pem}
cameras:
  north:
    detector: {model: motion, gate: off}
    zones:
      kerb: [[0.1, 0.5], [0.4, 0.5], [0.4, 0.9]]
    lines:
      entry: {a: [0, 0.5], b: [1, 0.5], to_right: on, to_left: no}
    rules:
      - kind: parking.illegal
        zone: kerb
        dwell_s: 90
        when: 07:00
        schedule: [{from: 07:00, to: 19:30}]
      - kind: flow.count
        line: entry
"""


def write(folder: Path, text: str | bytes) -> Path:
    path = folder / "site.yaml"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def read(folder: Path, text: str | bytes) -> Site:
    return load_site(write(folder, text), RULES)


def complaints(folder: Path, text: str | bytes) -> list[str]:
    """The problems, without the folder in front of `site.yaml`."""
    with pytest.raises(ConfigError) as caught:
        read(folder, text)
    return str(caught.value).replace(f"{folder}/", "").splitlines()


def broken(old: str, new: str) -> str:
    assert old in GOOD
    return GOOD.replace(old, new)


def test_reads_everything(tmp_path: Path) -> None:
    site = read(tmp_path, GOOD)
    camera = site.cameras["north"]
    parking, count = camera.rules
    assert site.site.responsible == "Tiefbauamt Süd 街道"
    assert parking.kind == "parking.illegal"
    assert isinstance(parking.settings, Parking)
    assert parking.settings.dwell_s == 90
    assert count.settings == Count(line="entry")
    assert camera.zones["kerb"][1] == (0.4, 0.5)


def test_yaml_guesses_nothing(tmp_path: Path) -> None:
    """`07:00` is a time (not 420), `on` and `no` are words, `off` still switches a switch off."""
    camera = read(tmp_path, GOOD).cameras["north"]
    parking = camera.rules[0].settings
    assert (parking.when, parking.schedule[0].end) == ("07:00", time(19, 30))
    assert (camera.lines["entry"].to_right, camera.lines["entry"].to_left) == ("on", "no")
    assert camera.detector.gate is False


def test_files_start_at_the_site_file(tmp_path: Path) -> None:
    site = read(tmp_path, GOOD)
    assert site.models_dir == tmp_path / "weights"
    assert site.state_dir == Path("~/state").expanduser()
    assert site.mqtt is not None
    assert site.mqtt.tls is not None
    assert site.mqtt.password_file == tmp_path / "secret.txt"
    assert (site.mqtt.tls.ca, site.mqtt.tls.key) == (Path("/etc/ca.pem"), tmp_path / "tls/key.pem")


def test_every_problem_at_once(tmp_path: Path) -> None:
    text = """\
site:
  name: Nord Stadt
device: 5
mqtt: {host: a, protocol: 4, prt: 3}
cameras:
  north:
    detector: {gate: ture, max_fps: fast}
    zones:
      kerb: [[0.1, 0.2], [0.3, 0.4], [640, 0.9]]
      bow: [[0, 0], [1, 1], [1, 0], [0, 1]]
      kerb: [[0, 0], [1, 1], [1, 0]]
    rules:
      - kind: parking.illegal
        zone: kreb
        dwell_s: -3
      - kind: parking.ilegal
      - kind: parking.illegal
        dwel_s: 60
        schedule: [{frm: 07:00}]
      - hallo
  Süd: {}
"""
    said = complaints(tmp_path, text)
    expected = [
        "site.yaml:2: site.name: `Nord Stadt` cannot be a name: use lower-case letters",
        "site.yaml:3: device: expected text; put it in quotes; got the number 5",
        "site.yaml:4: mqtt.protocol: `4` is not one of `5` or `3.1.1`",
        "site.yaml:4: mqtt.prt: unknown key; did you mean `port`?",
        "site.yaml:7: cameras.north.detector.gate: expected true or false; got text `ture`",
        "site.yaml:7: cameras.north.detector.max_fps: expected a number; write frames per second; "
        "got text `fast`",
        "site.yaml:9: cameras.north.zones.kerb[2][0]: 640 is above 1; corners are shares",
        "site.yaml:10: cameras.north.zones.bow: the outline crosses itself between",
        "site.yaml:11: cameras.north.zones.kerb: is given twice, first in line 9; remove one",
        "site.yaml:14: cameras.north.rules[0].zone: this camera has no zone `kreb`; "
        "did you mean `kerb`?",
        "site.yaml:15: cameras.north.rules[0].dwell_s: -3 is not above 0; write seconds, e.g. 60",
        "site.yaml:16: cameras.north.rules[1].kind: `parking.ilegal` is no kind of rule; "
        "did you mean `parking.illegal`? known kinds: parking.illegal, flow.count",
        "site.yaml:17: cameras.north.rules[2].zone: is missing; add `zone:`",
        "site.yaml:18: cameras.north.rules[2].dwel_s: unknown key; did you mean `dwell_s`?",
        "site.yaml:19: cameras.north.rules[2].schedule[0].frm: unknown key; did you mean `from`?",
        "site.yaml:20: cameras.north.rules[3]: a rule is a group of keys that starts with `kind:`",
        "site.yaml:21: cameras.Süd: `Süd` cannot be a name",
    ]
    assert len(said) == len(expected)
    for line, start in zip(said, expected, strict=True):
        assert line.startswith(start)
    assert not any("pydantic" in line or "http" in line or "Input" in line for line in said)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("dwell_s: 90", "dwell_s: true", ":20: cameras.north.rules[0].dwell_s: expected a number"),
        ("dwell_s: 90", "dwell_s: .inf", ":20: cameras.north.rules[0].dwell_s: .inf is not a num"),
        ("dwell_s: 90", "dwell_s: NaN", ":20: cameras.north.rules[0].dwell_s: NaN is not a number"),
        ("dwell_s: 90", "dwell_s: 1e999", "dwell_s: 1e999 is not a number to calculate with"),
        ("dwell_s: 90", f"dwell_s: {'9' * 5000}", "is not a number to calculate with"),
        ("dwell_s: 90", "dwell_s:", "dwell_s: expected a number; write seconds, e.g. 60; got noth"),
        ("dwell_s: 90", "share: 2", "rules[0].share: 2 is above 1; e.g. 0.5"),
        ("line: entry", "line: [entry, exits]", "this camera has no line `exits`; known: entry"),
        ("line: entry", "line: west", "this camera has no line `west`; known: entry"),
        ("line: entry", "line: entry\n        zones: [kerb, x]", "no zone `x`; known: kerb"),
        (
            "line: entry",
            "line: entry\n        limit: {a: 1}",
            "limit: expected a whole number; e.g. 3; got a group",
        ),
        ("kind: flow.count", "kind: [1]", "rules[1].kind: `[1]` is no kind of rule; known"),
        ("kind: flow.count", "knd: x", ":23: cameras.north.rules[1].kind: is missing; add `kind:`"),
        ("b: [1, 0.5]", "b: [1]", "lines.entry.b[1]: is missing; the list is too short"),
        ("b: [1, 0.5]", "b: [1, 2, 3]", "lines.entry.b"),
        ("b: [1, 0.5]", "b: [0, 0.5]", "lines.entry: a line needs two different points"),
        (", [0.4, 0.9]]", "]", "zones.kerb: has 2 entries; at least 3 are needed"),
        ("Europe/Berlin", "Europe/Berln", "timezone: `Europe/Berln`: no such time zone; use"),
        ("state_dir: ~/state", "state_dir: ~nobody-here/x", "there is no such home folder"),
        ("device: box-1", "device: !!python/object:os.x box", "the tag tag:yaml.org,2002:python"),
        ("device: box-1", 'device: "a\\0b"', "device: contains characters that cannot be printed"),
        ("device: box-1", 'device: "\\ud800"', "device: contains characters that cannot be prin"),
        ("device: box-1", "<<: {device: box-1}", "<<: unknown key"),
        ("device: box-1", "[a]: b\ndevice: box-1", "a key must be plain text"),
        ("device: box-1", "devise: box-1", "site.yaml:2: devise: unknown key; did you mean `devi"),
        ("  host: broker.local", "  hst: a", "mqtt.host: is missing; add `host:`"),
        ("  protocol: 5", "  media: {roles: [clip]}", "mqtt.media.roles[0]: `clip` is not one of"),
        ("  protocol: 5", "  media: {roles: []}", "mqtt.media.roles: "),
        (
            "mqtt:",
            "privacy: {redact: false}\nmqtt:\n  media: {}",
            "site.yaml:7: mqtt.media: there are no redacted copies to send while `privacy.redact`",
        ),
        ("rules:", "rulez:", "cameras.north.rulez: unknown key; did you mean `rules`?"),
    ],
)
def test_one_mistake(tmp_path: Path, old: str, new: str, said: str) -> None:
    assert said in "\n".join(complaints(tmp_path, broken(old, new)))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "site.yaml:1: the file is empty; write `site:`, `device:` and `cameras:`"),
        ("# nothing\n", "site.yaml:1: the file is empty"),
        ("- 1\n- 2", "site.yaml:1: the file is not a group of keys; write `site:`"),
        ("a:\n\t- b", "site.yaml:2: a tab is used as indentation; use spaces"),
        ("a: b: c", "site.yaml:1: a `:` stands where none may be"),
        ("a:\n  b: 1\n c: 2", "site.yaml:3: the indentation does not match the lines above"),
        ("a: [1, 2", "site.yaml:1: a bracket is not closed"),
        ("a: 'x", "site.yaml:1: a quote is not closed"),
        ("a: *b", "site.yaml:1: an alias `*name` is used before its `&name`"),
        ("a: 1\n---\nb: 2", "site.yaml:2: a second document starts here; remove the `---`"),
        ("a: &x [*x]", "site.yaml:1: more than 20000 values or 30 levels"),
        ("[" * 500, "site.yaml:1: nested deeper than 30 levels"),
        ('a: "\\UFFFFFFFF"', "site.yaml:1: this is not valid YAML"),
        ("a: \x01", "site.yaml:1: the character"),
        (b"a: 1\nb: \xff\xfe", "site.yaml:2: is not UTF-8 text; save the file with the encoding"),
        (GOOD.encode("utf-16"), "site.yaml:1: is not UTF-8 text"),
        (b"# " + b"x" * 600_000, "site.yaml: is larger than 512 KiB"),
    ],
)
def test_not_even_yaml(tmp_path: Path, text: str | bytes, said: str) -> None:
    lines = complaints(tmp_path, text)
    assert len(lines) == 1
    assert lines[0].startswith(said)


def test_billion_laughs(tmp_path: Path) -> None:
    names = "abcdefghi"
    text = "a: &a [1, 1, 1, 1, 1, 1, 1, 1, 1]\n" + "".join(
        f"{b}: &{b} [{', '.join(['*' + a] * 9)}]\n" for a, b in pairwise(names)
    )
    said = complaints(tmp_path, text)
    assert len(said) == 1
    assert "more than 20000 values" in said[0]


def test_aliases_repeat_a_value(tmp_path: Path) -> None:
    text = broken("a: [0, 0.5], b:", "a: &start [0, 0.5], b:")
    text += "  south:\n    lines: {exit: {a: *start, b: [1, 1]}}\n"
    assert read(tmp_path, text).cameras["south"].lines["exit"].a == (0, 0.5)


def test_byte_order_mark_and_windows_lines(tmp_path: Path) -> None:
    data = b"\xef\xbb\xbf" + GOOD.replace("\n", "\r\n").encode()
    assert read(tmp_path, data) == read(tmp_path, GOOD)


def test_a_long_list_of_problems_is_cut(tmp_path: Path) -> None:
    said = complaints(tmp_path, "".join(f"key{i}: 1\n" for i in range(200)))
    assert len(said) == 51
    assert said[-1] == "site.yaml: and 153 more problems"


def test_no_file_and_no_right_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such file"):
        load_site(tmp_path / "none.yaml", RULES)
    with pytest.raises(ConfigError, match="is a folder"):
        load_site(tmp_path, RULES)
    with pytest.raises(ConfigError, match="no such file"):
        site_sha256(tmp_path / "none.yaml")


def test_hash_is_that_of_the_bytes(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD)
    assert site_sha256(path) == hashlib.sha256(GOOD.encode()).hexdigest()


def test_schema_accepts_what_the_loader_accepts() -> None:
    schema = site_schema(RULES)
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    data = yaml.safe_load(GOOD)
    data["mqtt"]["protocol"] = "5"
    data["cameras"]["north"]["lines"]["entry"] |= {"to_right": "on", "to_left": "no"}
    data["cameras"]["north"]["rules"][0] |= {"when": "07:00", "schedule": []}
    validator.validate(data)
    data["cameras"]["north"]["rules"][0]["dwel_s"] = 1
    assert not validator.is_valid(data)


def test_an_evidence_profile_is_a_name_or_a_file_beside_the_site(tmp_path: Path) -> None:
    seen: list[str] = []

    def find(name: str) -> None:
        seen.append(name)
        if Path(name).is_file():
            raise ConfigError(f"{name}:3: rules: is missing")
        raise ConfigError(f"there is no profile `{name}`")

    def said(profile: str) -> str:
        path = write(tmp_path, GOOD + f"evidence:\n  profile: {profile}\n")
        with pytest.raises(ConfigError) as caught:
            load_site(path, RULES, find)
        return str(caught.value).replace(f"{tmp_path}/", "")

    line = len(GOOD.splitlines()) + 2
    known = f"site.yaml:{line}: evidence.profile: there is no profile `cn-ga833`"
    assert said("cn-ga833") == known
    assert "there is no profile `mine.yaml`" in said("mine.yaml")
    (tmp_path / "mine.yaml").touch()
    assert said("mine.yaml") == "mine.yaml:3: rules: is missing"
    assert seen == ["cn-ga833", str(tmp_path / "mine.yaml"), str(tmp_path / "mine.yaml")]
