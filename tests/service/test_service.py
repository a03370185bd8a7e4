"""The service in a system that booted: starts, restarts, reloads, and what it may not do."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.service.conftest import Box

pytestmark = pytest.mark.slow

SITE_FILE = "etc/edge-agent/site.yaml"
BIN = "/opt/edge-agent/venv/bin"
SECRET = "etc/edge-agent/secrets/mqtt"
EXAMPLES = Path(__file__).resolve().parents[2] / "systemd/examples"
PROBE = Path(__file__).with_name("probe.py")


@pytest.fixture
def service(box: Box) -> Box:
    """The service, running."""
    if box.show("ActiveState") != "active":
        box.restart()
    return box


def _pid(box: Box) -> str:
    return box.show("MainPID")


def _is_restarted(box: Box, before: str) -> bool:
    """Only `ready` makes it active."""
    return box.show("ActiveState") == "active" and _pid(box) not in ("0", before)


@contextmanager
def _changed(box: Box, drop_in: str) -> Iterator[None]:
    """The unit with a drop-in, for a while."""
    path = box.tree / "etc/systemd/system/edge-agent.service.d/test.conf"
    path.parent.mkdir(exist_ok=True)
    path.write_text(drop_in)
    try:
        box.run("systemctl", "daemon-reload")
        yield
    finally:
        path.unlink()
        box.run("systemctl", "daemon-reload")


def test_starts_with_the_system(box: Box) -> None:
    waited_s = box.wait(lambda: box.show("ActiveState") == "active", 60)
    assert box.show("NRestarts") == "0"
    assert box.show("User") == "edge-agent"
    print(f"ready {waited_s:.1f} s after the system")  # noqa: T201


def test_is_installed_once(tree: Path) -> None:
    text = (tree / "boot/firmware/config.txt").read_text()
    assert text.startswith("dtparam=audio=on\n[cm5]\ndtoverlay=dwc2\n# begin edge-agent\n[all]\n")
    assert (text.count("gpio=5,"), text.count("begin edge-agent")) == (1, 1)
    assert (tree / "etc/passwd").read_text().count("\nedge-agent:") == 1


def test_systemd_understands_what_is_installed(box: Box) -> None:
    said = box.run("journalctl", "--boot", "--no-pager", "--output=cat", "_PID=1")
    lines = re.findall("(?im)^.*(?:unknown|failed to parse|invalid|reception only).*$", said)
    assert lines == []
    assert box.run("systemd-analyze", "verify", "--man=no", "edge-agent.service") == ""


def test_keeps_its_state_to_itself(service: Box) -> None:
    listed = service.run("find", "/var/lib/edge-agent", "-printf", "%m %u %y %P\n").splitlines()
    assert listed[0] == "700 edge-agent d "
    files = [line.split(" ", 3) for line in listed[1:]]
    assert any(name.endswith(".pem") for *_, name in files), "a device key was made"
    for mode, user, _, name in files:
        assert user == "edge-agent", name
        assert int(mode, 8) & 0o077 == 0, f"{name} is open to others: {mode}"


def test_may_do_nothing_else(service: Box) -> None:
    home, units = (
        service.tree / path for path in ("opt/edge-agent/venv/bin", "etc/systemd/system")
    )
    launcher = (home / "edge-agent").read_text().replace('-m edge_agent "$@"', "/etc/probe.py")
    (home / "probe").write_text(launcher)
    (home / "probe").chmod(0o755)
    (service.tree / "etc/probe.py").write_text(PROBE.read_text())
    service.run("install", "--mode=0660", "--group=gpio", "/dev/null", "/etc/line")
    unit = (units / "edge-agent.service").read_text()
    unit = re.sub("(?m)^(Restart|WatchdogSec|Type|NotifyAccess)=.*", "", unit)
    unit = re.sub("(?m)^ExecStart=.*", f"Type=oneshot\nExecStart={BIN}/probe", unit)
    (units / "probe.service").write_text(unit)
    service.run("systemctl", "daemon-reload")
    service.run("systemctl", "start", "probe", check=False)
    told = service.run("journalctl", "--unit=probe", "--output=cat", "--no-pager")
    assert "PROBE" in told, told
    refused = "Operation not permitted"
    found = json.loads(told.partition("PROBE")[2].splitlines()[0])
    assert found.pop("writable code") in (refused, "Permission denied")  # before and since 254
    assert found == {
        "write own state": "allowed",
        "write site file": "Permission denied",
        "write program": "Permission denied",
        "write logs": "Read-only file system",
        "read homes": "Permission denied",
        "run what it wrote": "Permission denied",
        "raw packets": "Address family not supported by protocol",
        "new namespace": refused,
        "set clock": refused,
        "device node": refused,
        "capabilities": ["0" * 16] * 5,
        "is root": False,
        "knows its boot": True,
        "opens what its groups may": "allowed",
        "infers": True,
        "encodes": True,
        "may ask the clock": True,
    }


def test_passwords_of_root_alone(service: Box) -> None:
    secret = service.tree / SECRET
    secret.write_text("open sesame")
    secret.chmod(0o600)
    example = (EXAMPLES / "credentials.conf").read_text()
    (one,) = re.findall("(?m)^LoadCredential=mqtt:.*$", example)
    with _changed(service, f"[Service]\n{one}\n"):
        service.restart()
        place = "/run/credentials/edge-agent.service/mqtt"
        as_service = (
            "setpriv",
            "--reuid=edge-agent",
            "--regid=edge-agent",
            "--clear-groups",
            "cat",
        )
        assert service.run(*as_service, place) == "open sesame"
        assert "Permission denied" in service.run(*as_service, f"/{SECRET}", check=False)


def test_the_doctor_looks_at_it(service: Box) -> None:
    told = service.run("/usr/local/bin/edge-agent", "doctor", "--json", check=False)
    found = {each["subject"]: each for each in json.loads(told)}
    assert found["service"]["grade"] in ("pass", "warn"), "warns of the restarts of other tests"
    assert found["camera street"]["grade"] == "pass"
    assert found["disk"]["grade"] == "pass"
    assert "valid until" in found["device key"]["found"]
    assert found["broker"]["grade"] == "warn", "there is none"


def test_a_good_site_file_is_taken_over(service: Box) -> None:
    before = _pid(service)
    path = service.tree / SITE_FILE
    path.write_text(path.read_text().replace("dwell_s: 15", "dwell_s: 25"))
    service.run("systemctl", "reload", "edge-agent")
    service.wait(lambda: "taken over" in service.show("StatusText"), 15)
    assert (_pid(service), service.show("ActiveState")) == (before, "active")


def test_a_bad_site_file_changes_nothing(service: Box) -> None:
    before, path = _pid(service), service.tree / SITE_FILE
    good = path.read_text()
    try:
        path.write_text(good.replace("dwell_s: 25", "dwell_s: soon"))
        service.run("systemctl", "reload", "edge-agent")
        service.wait(lambda: "refused" in service.show("StatusText"), 15)
    finally:
        path.write_text(good)
    assert (_pid(service), service.show("ActiveState")) == (before, "active")
    logged = [json.loads(line) for line in service.journal("--output=json").splitlines()]
    refusal = next(each for each in logged if "refused" in each.get("MESSAGE", ""))
    assert "dwell_s" in refusal["WHY"]
    assert (refusal["PRIORITY"], refusal["LOGGER"]) == ("3", "edge_agent.live.service")


def test_comes_back_after_a_kill(service: Box) -> None:
    before = _pid(service)
    service.run("systemctl", "kill", "--signal=KILL", "--kill-who=main", "edge-agent")
    waited_s = service.wait(lambda: _is_restarted(service, before), 30)
    print(f"back {waited_s:.1f} s after kill -9")  # noqa: T201


def test_the_watchdog_ends_a_stall(service: Box) -> None:
    with _changed(service, "[Service]\nWatchdogSec=3\nTimeoutAbortSec=2\n"):
        service.restart()
        time.sleep(4)
        before = _pid(service)
        assert service.show("NRestarts") == "0", "it is fed while all goes well"
        service.run("systemctl", "kill", "--signal=STOP", "--kill-who=main", "edge-agent")
        waited_s = service.wait(lambda: _is_restarted(service, before), 40)
        assert "watchdog timeout" in service.journal().lower()
        print(f"back {waited_s:.1f} s after a stall, watchdog of 3 s")  # noqa: T201


def test_stops_cleanly_within_ten_seconds(service: Box) -> None:
    begin_s = time.monotonic()
    service.run("systemctl", "stop", "edge-agent")
    took_s = time.monotonic() - begin_s
    assert took_s < 10
    assert (service.show("Result"), service.show("ExecMainStatus")) == ("success", "0")
    print(f"stopped in {took_s:.1f} s")  # noqa: T201


def test_a_bad_site_file_is_not_tried_again(service: Box) -> None:
    path = service.tree / SITE_FILE
    good = path.read_text()
    service.run("systemctl", "stop", "edge-agent")
    try:
        path.write_text(good.replace("device: box", "device: 7 boxes"))
        service.run("systemctl", "start", "edge-agent", check=False)
        assert service.show("ExecMainStatus") == "78"
        time.sleep(4)  # a restart would come after 3
        assert (service.show("ActiveState"), service.show("NRestarts")) == ("failed", "0")
        assert f"/{SITE_FILE}:3: device" in service.journal("--lines=10")
    finally:
        path.write_text(good)
    service.restart()
