"""The doctor and a real broker."""

import json
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from edge_agent.clock import SystemClock
from edge_agent.config import Site
from edge_agent.config.models import Mqtt
from edge_agent.doctor import Finding, Patient, uplink

if TYPE_CHECKING:
    from tests.contract.conftest import Mosquitto

SOON = timedelta(days=10)


def _looked_at(mqtt: Mqtt, tmp_path: Path) -> dict[str, Finding]:
    site = {"site": {"name": "place"}, "device": "box", "cameras": {"street": {}}}
    given = {**site, "mqtt": mqtt.model_dump(), "state_dir": tmp_path}
    patient = Patient(Site.model_validate(given), SystemClock())
    return {found.subject: found for found in uplink.look_at_broker(patient)}


@pytest.fixture
def authority(tmp_path: Path) -> Path:
    """A certificate of its own for 127.0.0.1 that ends soon, beside its key."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "broker")])
    address = x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))])
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, now - SOON, now + SOON)
        .add_extension(address, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path / "broker.pem"
    path.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
    path.with_suffix(".key").write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain)
    )
    return path


def test_a_broker_that_takes_us(mosquitto: Callable[..., "Mosquitto"], tmp_path: Path) -> None:
    found = _looked_at(mosquitto().mqtt(), tmp_path)["broker"]
    assert (found.grade, "accepted" in found.found) == ("pass", True)


def test_a_broker_that_wants_a_user(mosquitto: Callable[..., "Mosquitto"], tmp_path: Path) -> None:
    found = _looked_at(mosquitto("allow_anonymous false").mqtt(), tmp_path)["broker"]
    assert (found.grade, "mqtt.username" in found.remedy) == ("fail", True)


def test_tls(mosquitto: Callable[..., "Mosquitto"], authority: Path, tmp_path: Path) -> None:
    key = authority.with_suffix(".key")
    broker = mosquitto("allow_anonymous true", f"certfile {authority}", f"keyfile {key}")
    found = _looked_at(broker.mqtt(tls={"ca": authority}), tmp_path)
    assert found["broker"].grade == "pass"
    assert found["broker's certificate"].grade == "warn", "it ends within a month"
    distrusted = _looked_at(broker.mqtt(tls={}), tmp_path)["broker"]
    assert (distrusted.grade, "mqtt.tls.ca" in distrusted.remedy) == ("fail", True)


def test_no_broker(tmp_path: Path) -> None:
    found = _looked_at(Mqtt(host="127.0.0.1", port=1), tmp_path)["broker"]
    assert (found.grade, "nothing listens" in found.remedy) == ("fail", True)


SITE = """
site: {name: place}
device: box
cameras:
  street: {source: {kind: file, path: street.mp4}}
"""


def test_as_a_technician_runs_it(
    edge_agent: Callable[..., subprocess.CompletedProcess[str]],
    make_video: Callable[..., Path],
    tmp_path: Path,
) -> None:
    config = tmp_path / "site.yaml"
    config.write_text(SITE)
    outcome = edge_agent("doctor", "--config", config)
    assert outcome.returncode == 1, outcome.stdout + outcome.stderr
    assert "street.mp4" in "".join(outcome.stdout.split())  # a long path is folded
    make_video(tmp_path / "street.mp4", 10)
    found = json.loads(edge_agent("doctor", "--config", config, "--json").stdout)
    grades = {each["subject"]: each["grade"] for each in found}
    assert (grades["camera street"], grades["models of street"]) == ("pass", "warn")
    config.write_text(SITE.replace("device: box", "device: The Box"))
    assert edge_agent("doctor", "--config", config).returncode == 78
