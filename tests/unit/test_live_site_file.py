"""What `check` and `run` say of a site file whose values are good, and what it names is not."""

from __future__ import annotations

import re
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from edge_agent.cli.run import run
from edge_agent.cli.site import check
from edge_agent.errors import ConfigError
from edge_agent.live.site_file import load_live

SITE = """\
site: {name: plaza}
device: box
gpio: {factory: mock}
metrics: {port: 9464}
evidence: {witnesses: [city.example/witness+00000000+AeR0]}
mqtt: {host: broker, tls: {ca: none.pem}}
privacy: {face_model: yunett}
cameras:
  north:
    source: {kind: rtsp, url: "rtsp://192.0.2.1/1"}
    detector: {model: yolox-nano}
    bays: {zones: [a], model: gone}
    zones: {a: [[0, 0], [1, 0], [1, 1]]}
  south:
    source: {kind: file, path: none.mp4}
  west: {}
"""
WRONG = {
    (3, "gpio.factory"): "needs gpiozero",
    (4, "metrics"): "needs prometheus_client",
    (5, "evidence.witnesses"): "is not an Ed25519 key",
    (6, "mqtt.tls.ca"): "does not exist",
    (7, "privacy.face_model"): "did you mean `yunet`?",
    (11, "cameras.north.detector.model"): "did you mean `yolox_nano`? known models: motion, ",
    (12, "cameras.north.bays.model"): "model 'gone': no card gone.yaml",
    (15, "cameras.south.source"): "a recording (`kind: file`) beside live cameras",
    (15, "cameras.south.source.path"): "none.mp4: no such file",
    (16, "cameras.west"): "has no `source:`",
}


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "site.yaml"
    path.write_text(SITE)
    return path


def _said(config: Path) -> str:
    with pytest.raises(ConfigError) as checked:
        check.main(["--config", str(config)], standalone_mode=False)
    return str(checked.value)


def test_everything_is_told_at_once_with_its_line(
    config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for library in ("gpiozero", "prometheus_client"):
        monkeypatch.setitem(sys.modules, library, None)
    said = _said(config)
    found = [re.fullmatch(r".*site\.yaml:(\d+): ([a-z_.]+): (.*)", row) for row in said.split("\n")]
    rows = {(int(row[1]), row[2]): row[3] for row in found if row is not None}
    assert rows.keys() == WRONG.keys() and len(found) == len(WRONG)
    for where, text in WRONG.items():
        assert text in rows[where]
    with pytest.raises(ConfigError) as run_by:
        load_live(config)
    assert str(run_by.value) == said


def _write_pair(folder: Path, days: int) -> None:
    """A certificate that ends in so many days, and its key."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "box")])
    begins, ends = now - timedelta(90), now + timedelta(days)
    made = x509.CertificateBuilder(name, name, key.public_key(), 1, begins, ends)
    pem, raw = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    (folder / "box.pem").write_bytes(made.sign(key, hashes.SHA256()).public_bytes(pem))
    (folder / "box.key").write_bytes(key.private_bytes(pem, raw, serialization.NoEncryption()))


@pytest.mark.parametrize("days", [-1, 1])
def test_an_expired_client_certificate_is_found_but_stops_no_box(tmp_path: Path, days: int) -> None:
    _write_pair(tmp_path, days)
    config = tmp_path / "site.yaml"
    config.write_text(
        "site: {name: plaza}\ndevice: box\nmqtt:\n  host: broker\n"
        "  tls: {certificate: box.pem, key: box.key}\n"
        'cameras: {north: {source: {kind: rtsp, url: "rtsp://192.0.2.1/1"}}}\n'
    )
    if days < 0:
        assert re.search(
            r"site\.yaml:5: mqtt\.tls\.certificate: .*box\.pem expired on", _said(config)
        )
    else:
        check.main(["--config", str(config)], standalone_mode=False)
    assert load_live(config).mqtt is not None, "what it watches is evidence without a broker"


def test_an_installed_box_needs_no_config_option() -> None:
    for command in (check, run):
        assert "/etc/edge-agent/site.yaml" in CliRunner().invoke(command, ["--help"]).output
