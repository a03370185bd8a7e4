"""Bad site files: every mistake named by file and line, nothing written, nothing waited for."""

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edge_agent.uplink import Listener

Outcome = subprocess.CompletedProcess[str]
Outcomes = dict[str, Outcome]

SITE = """
site: {name: bad-inputs}
device: box
cameras:
  north:
    zones: {kerb: [[0.1, 0.3], [0.9, 0.3], [0.9, 1.0], [0.1, 1.0]]}
    lines: {middle: {a: [0.5, 0.0], b: [0.5, 1.0]}}
    rules:
      - {kind: parking.illegal, zone: kerb, dwell_s: 5}
      - {kind: flow.line_crossing, line: middle, classes: [vehicle]}
"""
BOMB = "a: &a [1, 1, 1, 1, 1, 1, 1, 1]\n" + "".join(
    f"{b}: &{b} [{', '.join([f'*{a}'] * 8)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)
UNREADABLE: dict[str, tuple[str | bytes | None, tuple[str, ...]]] = {
    "missing": (None, ("no such file", "name an existing site file")),
    "folder": (None, ("is a folder", "name the site file inside it")),
    "pipe": (None, ("is not a regular file",)),
    "device": (None, ("is not a regular file",)),
    "empty": ("", (":1:", "the file is empty", "write `site:`")),
    "no-yaml": ("{{{", (":1:", "not valid YAML")),
    "tabs": ("site:\n\tname: x\n", (":2:", "use spaces")),
    "latin-1": (SITE.replace("box", "b\xf6x").encode("latin-1"), (":3:", "not UTF-8", "save")),
    "bomb": (BOMB, ("aliases", "more than 20000 values")),
    "deep": ("[" * 100_000, ("nested deeper than 30 levels",)),
    "no-cameras": ("site: {name: x}\ndevice: box\ncameras: {}\n", (":3:", "cameras", "at least 1")),
}
REPLACED = {
    "unknown-key": ("zones:", "zonse:", ("north.zonse: unknown key", "did you mean `zones`?")),
    "duplicate": ("device: box", "device: box\ndevice: b", (":4:", "device", "twice", "line 3")),
    "camera-name": ("north:", "North 1/+#:", (":5:", "cannot be a name", "lower-case letters")),
    "zone-folder": ("bad-inputs", "x, timezone: Europe", (":2:", "no such time zone")),
    "zone-long": ("bad-inputs", f"x, timezone: {'x' * 300}", (":2:", "no such time zone")),
    "zone-path": ("bad-inputs", "x, timezone: ../zone", (":2:", "no such time zone")),
}
"""Site files with one mistake; an unknown key also loses what refers to it."""

MISTAKES = [
    ("timezone: Mars/Olympus", "no such time zone; use an IANA name such as Europe/Berlin"),
    ("kerb: [[0.1, 0.1], [0.9, 0.9], [0.9, 0.1], [0.1, 0.8]]", "crosses itself"),
    ("kerb: [[0.1, 0.1], [0.9, 0.9]]", "has 2 entries; at least 3 are needed"),
    ("kerb: [[0.1, 0.1], [640, 0.9], [0.9, 0.5]]", "640 is above 1; corners are shares"),
    ("kerb: [[0.1, 0.1], [0.5, 0.5], [0.9, 0.9]]", "encloses no area"),
    ("kerb: [[.nan, 0.1], [0.5, 0.5], [0.9, 0.9]]", ".nan is not a number to calculate with"),
    ("- {kind: parking.illegal, zone: kreb, dwell_s: 5}", "did you mean `kerb`?"),
    ("- {kind: flow.line_crossing, line: midle}", "did you mean `middle`?"),
    ("- {kind: parking.ilegal}", "did you mean `parking.illegal`?"),
    ("- {kind: parking.illegal, zone: kerb, dwell_s: -1}", "-1 is not above 0; write seconds"),
    ("- {kind: parking.illegal, zone: kerb, dwell_s: soon}", "expected a number; write seconds"),
    ("- {kind: parking.illegal, zone: kerb, dwell_s: .nan}", "is not a number to calculate with"),
    (
        "- {kind: parking.illegal, zone: kerb, dwell_s: 5, schedule: [{days: mon-fry}]}",
        "write days as mon-fri",
    ),
    ("port: 99999", "99999 is above 65535"),
    ("host: ''", "at least 1 character"),
]
"""Lines of one site file, each of which is wrong by itself, and what has to be said of it."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("sites")


def write_all_mistakes(path: Path) -> list[int]:
    """The site file with all `MISTAKES`; returns the line of each."""
    lines = ["device: box", "site:", "  name: x", "mqtt:"]
    site, mqtt, cameras = lines[1:3], lines[3:], ["cameras:"]
    for number, (text, _) in enumerate(MISTAKES):
        if text.startswith("timezone"):
            site.append(f"  {text}")
        elif text.startswith(("port", "host")):
            mqtt.append(f"  {text}")
        else:
            is_zone = text.startswith("kerb")
            zone = text if is_zone else "kerb: [[0.1, 0.1], [0.9, 0.1], [0.5, 0.9]]"
            cameras += [f"  c{number}:", "    zones:", f"      {zone}"]
            cameras += ["    lines: {middle: {a: [0.5, 0], b: [0.5, 1]}}"]
            cameras += [] if is_zone else ["    rules:", f"      {text}"]
    written = [lines[0], *site, *mqtt, *cameras]
    path.write_text("\n".join(written) + "\n")
    stripped = [line.strip() for line in written]
    return [stripped.index(text) + 1 for text, _ in MISTAKES]


@pytest.fixture(scope="module")
def checks(folder: Path, run_all: Callable[..., Outcomes]) -> Outcomes:
    (folder / "folder").mkdir()
    os.mkfifo(folder / "pipe")
    (folder / "device").symlink_to("/dev/zero")
    for name, (content, _) in UNREADABLE.items():
        if content is not None:
            data = content.encode() if isinstance(content, str) else content
            (folder / name).write_bytes(data)
    for name, (old, new, _) in REPLACED.items():
        (folder / name).write_text(SITE.replace(old, new))
    names = [*UNREADABLE, *REPLACED]
    return run_all({name: ("check", "--config", folder / name) for name in names})


@pytest.mark.parametrize("name", UNREADABLE)
def test_unreadable_site(
    checks: Outcomes, refused: Callable[..., None], folder: Path, name: str
) -> None:
    refused(checks[name], 78, str(folder / name), *UNREADABLE[name][1])


@pytest.mark.parametrize("name", REPLACED)
def test_one_mistake(
    checks: Outcomes, refused: Callable[..., None], folder: Path, name: str
) -> None:
    lines = 2 if name == "unknown-key" else 1
    refused(checks[name], 78, str(folder / name), *REPLACED[name][2], lines=lines)


def test_every_mistake_at_once(
    edge_agent: Callable[..., Outcome], refused: Callable[..., None], folder: Path
) -> None:
    path = folder / "all.yaml"
    places = write_all_mistakes(path)
    outcome = edge_agent("check", "--config", path)
    refused(outcome, 78, lines=len(MISTAKES))
    said = outcome.stderr.removeprefix("edge-agent: ").splitlines()
    for place, (text, words) in zip(places, MISTAKES, strict=True):
        (line,) = (line for line in said if line.startswith(f"{path}:{place}: "))
        assert words in line, text


@pytest.fixture(scope="module")
def video(folder: Path, make_video: Callable[..., Path]) -> Path:
    return make_video(folder / "street.mp4", 60, fps=10)


def test_publish_without_a_broker_in_the_site(
    edge_agent: Callable[..., Outcome], refused: Callable[..., None], tmp_path: Path, video: Path
) -> None:
    site, out = tmp_path / "site.yaml", tmp_path / "out"
    site.write_text(SITE)
    outcome = edge_agent("replay", video, "--config", site, "--out", out, "--publish")
    refused(outcome, 2, "--publish", "site.yaml names no broker", "add an mqtt section")
    assert not out.exists()


def test_all_files_of_a_broker_at_once_with_their_lines(
    edge_agent: Callable[..., Outcome], refused: Callable[..., None], folder: Path
) -> None:
    site = folder / "broker-files.yaml"
    broker = {
        "  host: localhost": "",
        "  username: box": "",
        "  password_file: gone.secret": "mqtt.password_file: ",
        "  tls:": "",
        "    ca: broker-files.yaml": "mqtt.tls.ca: ",
        "    certificate: gone.crt": "mqtt.tls.certificate: ",
        "    key: gone.key": "mqtt.tls.key: ",
    }
    site.write_text(SITE + "mqtt:\n" + "\n".join(broker) + "\n")
    outcome = edge_agent("check", "--config", site)
    refused(outcome, 78, "no PEM certificate", lines=4)
    first = site.read_text().splitlines().index("mqtt:") + 2
    said = outcome.stderr.removeprefix("edge-agent: ").splitlines()
    wanted = [(n, place) for n, place in enumerate(broker.values(), first) if place]
    for line, (number, place) in zip(said, wanted, strict=True):
        assert line.startswith(f"{site}:{number}: {place}")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ("username: u, password_file: gone", ("mqtt.password_file", "gone")),
        ("tls: {ca: gone.pem}", ("mqtt.tls.ca", "gone.pem")),
        ("tls: {ca: street.mp4}", ("mqtt.tls.ca", "street.mp4", "no PEM certificate")),
    ],
)
def test_broker_files_are_tried_before_results_are_replaced(
    *,
    edge_agent: Callable[..., Outcome],
    refused: Callable[..., None],
    folder: Path,
    video: Path,
    settings: str,
    words: tuple[str, ...],
) -> None:
    site, out = folder / "broker.yaml", folder / "kept"
    site.write_text(SITE + f"mqtt: {{host: localhost, {settings}}}\n")
    out.mkdir(exist_ok=True)
    (out / "replay.json").write_text('{"run": "x", "finished": true}')
    (out / "events.jsonl").write_text("{}\n")
    rest = ("--out", out, "--publish", "--overwrite")
    refused(edge_agent("replay", video, "--config", site, *rest), 78, *words)
    assert (out / "events.jsonl").read_text() == "{}\n"
    if "username" in settings:
        refused(edge_agent("check", "--config", site), 78, *words)


@pytest.mark.slow
def test_broker_that_is_not_there_gets_everything_later(
    edge_agent: Callable[..., Outcome],
    refused: Callable[..., None],
    mosquitto: Callable[..., Any],
    tmp_path: Path,
    video: Path,
) -> None:
    broker, out, site = mosquitto(), tmp_path / "out", tmp_path / "site.yaml"
    site.write_text(SITE + f"mqtt: {{host: 127.0.0.1, port: {broker.port}}}\n")
    command = ("replay", video, "--config", site, "--out", out, "--publish")
    start = ("--start", "2026-01-01")
    broker.kill()
    words = ("wait in", f":{broker.port}", "nothing listens there", "run the same command again")
    refused(edge_agent(*command, *start), 1, *words)
    lines = (out / "events.jsonl").read_bytes()
    ids = {json.loads(line)["id"] for line in lines.splitlines()}
    assert ids
    broker.start()
    with Listener(broker.mqtt()) as listener:
        again = edge_agent(*command, *start)
        assert (again.returncode, again.stderr) == (0, "resumed an interrupted replay\n")
        listener.wait(len(ids) + 3, 10)
        assert ids <= {payload.get("id") for _, payload in listener.messages}
    assert (out / "events.jsonl").read_bytes() == lines
    refused(edge_agent(*command, *start), 2, "holds a finished replay", "--overwrite")
