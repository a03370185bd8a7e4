"""What the doctor finds, and what it says to do about it."""

import socket
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from edge_agent.clock import ManualClock, Sync, SystemClock
from edge_agent.config import Site
from edge_agent.doctor import Finding, Patient, machine, service, sight, uplink, wires
from edge_agent.live.timekeeping import ScriptedSync

NOW = datetime(2026, 6, 1, tzinfo=UTC)


def _patient(tmp_path: Path, sync: Sync | None = None, **more: Any) -> Patient:
    site = {
        "site": {"name": "place"},
        "device": "box",
        "state_dir": tmp_path / "state",
        "cameras": {"street": {}},
        **more,
    }
    return Patient(
        Site.model_validate(site), ManualClock(NOW), ScriptedSync([sync]), tmp_path / "throttled"
    )


def _only(found: Iterator[Finding]) -> Finding:
    (finding,) = found
    assert finding.grade == "pass" or finding.remedy, "says what to do"
    return finding


@pytest.mark.parametrize(
    ("sync", "grade", "text"),
    [
        (Sync("nts", True, 3.2), "pass", "nts, at most 3 ms off"),
        (Sync("ntp", True, 1500.0), "fail", "not synchronised"),
        (Sync("rtc", False, None), "fail", "not synchronised"),
        (None, "fail", "nobody knows"),
    ],
)
def test_clock(tmp_path: Path, sync: Sync | None, grade: str, text: str) -> None:
    found = _only(machine.look_at_clock(_patient(tmp_path, sync)))
    assert (found.grade, text in found.found) == (grade, True)


@pytest.mark.parametrize(
    ("bits", "grade", "text"),
    [
        ("0", "pass", "enough"),
        ("50005", "fail", "voltage"),
        ("50000", "warn", "voltage"),
        ("e0008", "warn", "heat"),
    ],
)
def test_power_of_a_pi(tmp_path: Path, bits: str, grade: str, text: str) -> None:
    (tmp_path / "throttled").write_text(bits + "\n")
    found = _only(machine.look_at_power(_patient(tmp_path)))
    assert (found.grade, text in found.found) == (grade, True)


def test_other_boards_do_not_tell(tmp_path: Path) -> None:
    assert not list(machine.look_at_power(_patient(tmp_path)))


@pytest.mark.parametrize(
    ("begins", "ends", "grade"),
    [(-90, 90, "pass"), (-90, 20, "warn"), (-90, -1, "fail"), (1, 90, "fail")],
)
def test_certificates(tmp_path: Path, begins: int, ends: int, grade: str) -> None:
    path = tmp_path / "client.pem"
    path.write_bytes(_certificate(NOW + timedelta(begins), NOW + timedelta(ends)))
    mqtt = {"host": "broker", "tls": {"certificate": path}}
    found = {f.subject: f for f in uplink.look_at_certificates(_patient(tmp_path, mqtt=mqtt))}
    assert found["client certificate"].grade == grade
    assert bool(found["client certificate"].remedy) == (grade != "pass")
    assert found["device key"].grade == "warn"


def test_an_authority_that_cannot_be_read_is_told_once(tmp_path: Path) -> None:
    path = tmp_path / "ca.pem"
    mqtt = {"host": "broker", "tls": {"ca": path}}
    for text in (None, "no certificate"):
        if text is not None:
            path.write_text(text)
        patient = _patient(tmp_path, mqtt=mqtt)
        found = [*uplink.look_at_broker(patient), *uplink.look_at_certificates(patient)]
        (told,) = (each for each in found if str(path) in each.found + each.remedy)
        assert (told.subject, told.grade) == ("broker", "fail")


def _certificate(begins: datetime, ends: datetime) -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "box")])
    made = x509.CertificateBuilder(name, name, key.public_key(), 1, begins, ends)
    return made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


@pytest.mark.parametrize(
    ("evidence", "grade"),
    [
        ({"min_free_mb": 1}, "pass"),
        ({"min_free_mb": 1, "disk_budget_mb": 10**9}, "warn"),
        ({"min_free_mb": 10**9}, "fail"),
    ],
)
def test_disk(tmp_path: Path, evidence: dict[str, int], grade: str) -> None:
    assert _only(machine.look_at_disk(_patient(tmp_path, evidence=evidence))).grade == grade


def test_a_disk_that_takes_nothing(tmp_path: Path) -> None:
    found = _only(machine.look_at_disk(_patient(tmp_path, data_dir=Path("/proc/self/data"))))
    assert (found.grade, "read-only" in found.remedy) == ("fail", True)


def test_cameras_are_opened(tmp_path: Path, make_video: Callable[..., Path]) -> None:
    good = make_video(tmp_path / "street.mp4", 10, size=(160, 120))
    cameras = {
        "good": {"source": {"kind": "file", "path": good}},
        "gone": {"source": {"kind": "file", "path": tmp_path / "gone.mp4"}},
        "deaf": {"source": {"kind": "rtsp", "url": "rtsp://127.0.0.1:9/1"}},
        "none": {},
    }
    patient = _patient(tmp_path, cameras=cameras)
    found = {f.subject: f for f in sight.look_at_cameras(Patient(patient.site, SystemClock()))}
    grades = {subject: each.grade for subject, each in found.items()}
    assert grades == {
        "camera good": "pass",
        "camera gone": "fail",
        "camera deaf": "fail",
        "camera none": "fail",
    }
    assert found["camera good"].found.startswith("160x120, first after")
    assert "gone.mp4" in found["camera gone"].remedy
    assert "cameras.none.source" in found["camera none"].remedy


def test_models_are_opened(tmp_path: Path) -> None:
    cameras = {
        "still": {"detector": {"model": "motion"}},
        "lost": {"detector": {"model": "no_such_model"}},
    }
    still, lost = sight.look_at_models(_patient(tmp_path, cameras=cameras))
    assert (still.grade, lost.grade) == ("warn", "fail")
    assert "no_such_model" in lost.remedy


def test_secrets_are_private(tmp_path: Path) -> None:
    for name, mode in (("mqtt", 0o644), ("north", 0o640)):
        (tmp_path / name).write_text("a:b")
        (tmp_path / name).chmod(mode)
    source = {"kind": "rtsp", "url": "rtsp://192.0.2.1/1", "credentials_file": tmp_path / "north"}
    mqtt = {"host": "broker", "username": "box", "password_file": tmp_path / "mqtt"}
    patient = _patient(tmp_path, mqtt=mqtt, cameras={"north": {"source": source}})
    found = _only(uplink.look_at_secrets(patient))
    assert (found.subject, found.grade) == ("secret mqtt", "warn")


WIRING: dict[str, Any] = {
    "cameras": {
        "street": {"zones": {"bar": [[0, 0], [1, 0], [1, 1]]}, "rules": []},
    },
    "calls": {"main": {"camera": "street", "zone": "bar", "line": 5}},
    "phases": {"p2": {"red": 6, "amber": 7, "green": 8}},
    "health_output": {"line": 9},
}


def test_lines_are_opened_and_given_back(tmp_path: Path) -> None:
    patient = _patient(tmp_path, gpio={"factory": "mock"}, **WIRING)
    assert patient.site.gpio is not None
    assert [wires.open_lines(patient.site, patient.site.gpio) for _ in range(2)] == [5, 5]
    assert _only(wires.look_at_lines(patient)).grade == "warn", "mock moves nothing"


def test_lines_without_their_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gpiozero", None)
    found = _only(wires.look_at_lines(_patient(tmp_path, gpio={"factory": "mock"}, **WIRING)))
    assert (found.grade, "edge-agent[gpio]" in found.remedy) == ("fail", True)


def test_metrics(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        patient = _patient(tmp_path, metrics={"port": port})
        found = _only(service.look_at_metrics(patient))
        assert (found.grade, f"127.0.0.1:{port}: " in found.remedy) == ("fail", True)
    assert _only(service.look_at_metrics(patient)).grade == "pass"
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    found = _only(service.look_at_metrics(patient))
    assert (found.grade, "edge-agent[metrics]" in found.remedy) == ("fail", True)
    assert not list(service.look_at_metrics(_patient(tmp_path)))


def test_a_chip_that_is_not_there(tmp_path: Path) -> None:
    patient = _patient(tmp_path, gpio={"chip": "/dev/gpiochip97"}, **WIRING)
    found = _only(wires.look_at_lines(patient))
    assert (found.grade, "/dev/gpiochip97" in found.remedy) == ("fail", True)


def test_a_box_without_lines(tmp_path: Path) -> None:
    assert not list(wires.look_at_lines(_patient(tmp_path)))
