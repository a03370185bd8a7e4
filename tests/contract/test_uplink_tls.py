"""TLS towards a real mosquitto: what works, and what is said when it does not."""

import re
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from edge_agent.clock import SystemClock
from edge_agent.config.uplink import Mqtt, Tls
from edge_agent.errors import ConfigError, UplinkError
from edge_agent.identity import CameraOrigin, Origin
from edge_agent.types import Media, ModelInfo
from edge_agent.uplink import EmbeddedBroker, Listener, Outbox, Uplink

PATIENCE_S = 30.0
START = datetime(2026, 1, 1, tzinfo=UTC)
MEDIA = Media("v", "replay", "a" * 64, START, "given")
ORIGIN = Origin(
    {"name": "s"}, "d", "b", "c" * 64, "edge 1", {"c": CameraOrigin(MEDIA, ModelInfo("m", None))}
)
DAY = timedelta(days=1)


def subject(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


@dataclass
class Authority:
    """A certificate authority made for one test."""

    folder: Path
    name: str = "authority"
    key: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1())
    )

    def __post_init__(self) -> None:
        self.ca = self.folder / f"{self.name}.crt"
        certificate = self._sign(self.name, self.key, is_authority=True)
        self.ca.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    def issue(
        self, name: str, *, begin: timedelta = -DAY, end: timedelta = DAY, is_own: bool = False
    ) -> tuple[Path, Path]:
        """Certificate and key of one party, valid for 127.0.0.1; `is_own`: signed by itself."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._sign(name, key, (begin, end), signer=key if is_own else None)
        paths = self.folder / f"{name}.crt", self.folder / f"{name}.key"
        paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        paths[1].write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        return paths

    def _sign(
        self,
        name: str,
        key: ec.EllipticCurvePrivateKey,
        span: tuple[timedelta, timedelta] = (-DAY, DAY),
        *,
        signer: ec.EllipticCurvePrivateKey | None = None,
        is_authority: bool = False,
    ) -> x509.Certificate:
        now = SystemClock().now()
        names = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
        return (
            x509.CertificateBuilder()
            .subject_name(subject(name))
            .issuer_name(subject(name if signer else self.name))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + span[0])
            .not_valid_after(now + span[1])
            .add_extension(x509.BasicConstraints(is_authority, None), critical=True)
            .add_extension(names, critical=False)
            .sign(signer or self.key, hashes.SHA256())
        )


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def version(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The only version of TLS that the broker speaks: OpenSSL's own setting for its process."""
    limits = f"MinProtocol = TLSv{request.param}\nMaxProtocol = TLSv{request.param}\n"
    path = tmp_path / "openssl.cnf"
    path.write_text(
        "openssl_conf = all\n[all]\nssl_conf = ssl\n[ssl]\nsystem_default = limits\n"
        f"[limits]\n{limits}"
    )
    monkeypatch.setenv("OPENSSL_CONF", str(path))


@dataclass
class Broker:
    """A mosquitto that speaks TLS only, with the given certificate."""

    start: Callable[..., Any]
    authority: Authority

    def serve(self, *lines: str, pair: tuple[Path, Path] | None = None) -> int:
        certificate, key = pair or self.authority.issue("broker")
        settings = (f"cafile {self.authority.ca}", f"certfile {certificate}", f"keyfile {key}")
        return int(self.start(*settings, *(lines or ["allow_anonymous true"])).port)

    def ask_for_certificates(self, *lines: str) -> int:
        return self.serve("require_certificate true", "use_identity_as_username true", *lines)


@pytest.fixture
def broker(mosquitto: Callable[..., Any], authority: Authority) -> Broker:
    return Broker(mosquitto, authority)


def to(port: int, *, host: str = "127.0.0.1", **tls: Any) -> Mqtt:
    return Mqtt(host=host, port=port, tls=Tls(**tls))


def await_reason(uplink: Uplink, pattern: str) -> str:
    clock = SystemClock()
    for _ in range(int(PATIENCE_S / 0.05)):
        reason = uplink.status().reason or ""
        if re.search(pattern, reason):
            return reason
        clock.sleep(0.05)
    raise AssertionError(f"expected {pattern!r}, got {uplink.status()}")


def check_reason(mqtt: Mqtt, outbox: Outbox, *words: str) -> None:
    with Uplink(mqtt, outbox, ORIGIN) as uplink:
        reason = await_reason(uplink, re.escape(words[0]))
        assert not [word for word in words if word not in reason], reason
        assert uplink.status().state == "offline"
    assert outbox.waiting == 1


@pytest.mark.parametrize("version", ["1.2", "1.3"], indirect=True)
@pytest.mark.usefixtures("version")
def test_client_certificates_and_rules_by_their_name(
    broker: Broker, authority: Authority, tmp_path: Path, outbox: Outbox
) -> None:
    acl = tmp_path / "acl"
    acl.write_text("user device\ntopic write t\ntopic write edge/v1/s/d/#\n")
    port = broker.ask_for_certificates(f"acl_file {acl}")
    certificate, key = authority.issue("device")
    for n in range(200):
        outbox.add({"id": f"x{n}", "pad": "y" * 2000}, "t")
    mqtt = to(port, ca=authority.ca, certificate=certificate, key=key)
    with Uplink(mqtt, outbox, ORIGIN) as uplink:
        assert uplink.flush(PATIENCE_S)
    certificate, key = authority.issue("stranger")
    outbox.add({"id": "y"}, "t")
    check_reason(to(port, ca=authority.ca, certificate=certificate, key=key), outbox, "Not authori")


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"end": timedelta(hours=-1)}, ("not trusted", "expired", "renewed", "timedatectl")),
        ({"begin": timedelta(hours=1)}, ("not trusted", "not yet valid", "clock", "timedatectl")),
        ({"is_own": True}, ("not trusted", "self-signed", "vouches for itself", "mqtt.tls.ca")),
    ],
    ids=["expired", "not yet valid", "self-signed"],
)
def test_a_broker_whose_certificate_is_not_good(
    broker: Broker, authority: Authority, outbox: Outbox, how: dict[str, Any], words: tuple[str]
) -> None:
    port = broker.serve(pair=authority.issue("broker", **how))
    check_reason(to(port, ca=authority.ca), outbox, *words)


def test_a_self_signed_broker_is_trusted_once_it_is_named(
    broker: Broker, authority: Authority, outbox: Outbox
) -> None:
    pair = authority.issue("broker", is_own=True)
    with Uplink(to(broker.serve(pair=pair), ca=pair[0]), outbox, ORIGIN) as uplink:
        assert uplink.flush(PATIENCE_S)


def test_a_broker_of_an_unknown_authority(broker: Broker, outbox: Outbox, tmp_path: Path) -> None:
    other = Authority(tmp_path, "other")
    words = ("not trusted", f"mqtt.tls.ca (now {other.ca})", "authority that issued it")
    check_reason(to(broker.serve(), ca=other.ca), outbox, *words)


def test_a_broker_of_another_name(broker: Broker, authority: Authority, outbox: Outbox) -> None:
    words = ("not trusted", "another name", "mqtt.host", "issued for localhost")
    check_reason(to(broker.serve(), host="localhost", ca=authority.ca), outbox, *words)


@pytest.mark.parametrize("version", ["1.2", "1.3"], indirect=True)
@pytest.mark.usefixtures("version")
@pytest.mark.parametrize(
    ("how", "words"),
    [
        (None, ("asks for a client certificate", "set mqtt.tls.certificate")),
        ({"end": timedelta(hours=-1)}, ("as expired", "valid from", "renewed", "device.crt")),
        ({"begin": timedelta(hours=1)}, ("not valid yet by the broker's clock", "device.crt")),
        ({"is_own": True}, ("does not know who issued", "cafile", "device.crt")),
    ],
    ids=["none", "expired", "not yet valid", "self-signed"],
)
def test_a_client_certificate_that_is_refused(
    broker: Broker,
    authority: Authority,
    outbox: Outbox,
    how: dict[str, Any] | None,
    words: tuple[str],
) -> None:
    port = broker.ask_for_certificates()
    certificate, key = (None, None) if how is None else authority.issue("device", **how)
    mqtt = to(port, ca=authority.ca, certificate=certificate, key=key)
    check_reason(mqtt, outbox, *words)


def test_a_key_of_another_certificate(authority: Authority, outbox: Outbox) -> None:
    certificate, _ = authority.issue("device")
    _, key = authority.issue("device-2")
    with pytest.raises(ConfigError, match=r"mqtt\.tls\.key: .*device-2\.key is not the key of"):
        Uplink(to(1, ca=authority.ca, certificate=certificate, key=key), outbox, ORIGIN)


def test_plain_towards_a_tls_port(broker: Broker, outbox: Outbox) -> None:
    mqtt = Mqtt(host="127.0.0.1", port=broker.serve())
    check_reason(mqtt, outbox, "no MQTT answer", "check mqtt.port and mqtt.tls")


def test_tls_towards_a_plain_port(
    mosquitto: Callable[..., Any], authority: Authority, outbox: Outbox
) -> None:
    check_reason(to(mosquitto().port, ca=authority.ca), outbox, "is mqtt.port its TLS port")


@pytest.mark.slow
def test_tls_towards_a_plain_port_that_keeps_silent(outbox: Outbox, authority: Authority) -> None:
    with EmbeddedBroker() as broker:
        check_reason(to(broker.port, ca=authority.ca), outbox, "is its TLS port")


@pytest.mark.parametrize("version", ["1.2"], indirect=True)
@pytest.mark.usefixtures("version")
def test_no_version_in_common(broker: Broker, authority: Authority, outbox: Outbox) -> None:
    port = broker.serve()
    mqtt = to(port, ca=authority.ca, min_version="1.3")
    check_reason(mqtt, outbox, "no TLS version in common", "mqtt.tls.min_version (now 1.3)")


def test_a_certificate_is_renewed_on_the_disk(
    broker: Broker, authority: Authority, outbox: Outbox
) -> None:
    """No restart: what is on the disk when the next connection is made counts."""
    assert ssl.HAS_TLSv1_3
    port = broker.ask_for_certificates()
    certificate, key = authority.issue("device", end=timedelta(hours=-1))
    mqtt = to(port, ca=authority.ca, certificate=certificate, key=key)
    with Uplink(mqtt, outbox, ORIGIN) as uplink:
        await_reason(uplink, "as expired")
        certificate.write_text("half a certifi")  # a renewal in the middle
        await_reason(uplink, "do not make a pair")
        authority.issue("device")
        assert uplink.flush(PATIENCE_S)
        assert uplink.status().reason is None


@pytest.mark.slow
def test_a_certificate_that_expires_while_connected(
    mosquitto: Callable[..., Any], authority: Authority, outbox: Outbox
) -> None:
    """The connection lives on; the next one needs, and takes, the renewed file."""
    pair = authority.issue("broker")
    settings = (f"cafile {authority.ca}", f"certfile {pair[0]}", f"keyfile {pair[1]}")
    running = mosquitto(*settings, "require_certificate true", "use_identity_as_username true")
    certificate, key = authority.issue("device", end=timedelta(seconds=4))
    mqtt = to(running.port, ca=authority.ca, certificate=certificate, key=key)
    with Uplink(mqtt, outbox, ORIGIN) as uplink:
        assert uplink.flush(PATIENCE_S)
        SystemClock().sleep(5)
        outbox.add({"id": "late"}, "t")
        assert uplink.flush(PATIENCE_S)
        running.kill()
        running.start()
        outbox.add({"id": "later"}, "t")
        await_reason(uplink, "as expired")
        authority.issue("device")
        assert uplink.flush(PATIENCE_S)


def test_a_listener_is_told_the_same(broker: Broker, authority: Authority) -> None:
    mqtt = to(broker.serve(), host="localhost", ca=authority.ca)
    with pytest.raises(UplinkError, match="another name"), Listener(mqtt):
        pass


def test_the_broker_configuration_of_the_manual(
    mosquitto: Callable[..., Any], authority: Authority, outbox: Outbox, tmp_path: Path
) -> None:
    """A box may write its own branch alone, whoever reads may read it all."""
    text = Path(__file__).parents[2].joinpath("docs", "mqtt.md").read_text("utf-8")
    conf, acl = (
        re.findall(rf"```{kind}\n(.*?)```", text, re.DOTALL)[0] for kind in ("conf", "acl")
    )
    certificate, key = authority.issue("broker")
    (tmp_path / "edge.acl").write_text(acl)
    for place, path in (
        ("/etc/mosquitto/certs/ca.crt", authority.ca),
        ("/etc/mosquitto/certs/broker.crt", certificate),
        ("/etc/mosquitto/certs/broker.key", key),
        ("/etc/mosquitto/edge.acl", tmp_path / "edge.acl"),
    ):
        conf = conf.replace(place, str(path))
    ours = ("listener", "persistence", "autosave_interval", "max_queued")  # the fixture's own
    broker = mosquitto(*(line for line in conf.splitlines() if not line.startswith(ours)))
    mine = "edge/v1/s/d/replay/cam/c/event/a/b"
    outbox.delivered(1)
    photos = {f"edge/v1/s/d/{branch}case/1/media/wide" for branch in ("", "replay/")}
    with (
        Listener(to(broker.port, ca=authority.ca, **pair(authority, "office"))) as office,
        Listener(to(broker.port, ca=authority.ca, **pair(authority, "dashboard"))) as dashboard,
        Listener(to(broker.port, ca=authority.ca, **pair(authority, "witness"))) as witness,
        Uplink(to(broker.port, ca=authority.ca, **pair(authority, "d")), outbox, ORIGIN) as uplink,
    ):
        for photo in photos:
            outbox.add({"id": photo}, photo)
        outbox.add({"id": "mine"}, mine)
        assert uplink.flush(PATIENCE_S)
        assert office.wait(5, PATIENCE_S) and dashboard.wait(3, PATIENCE_S)
        seen = [{topic for topic, _ in each.messages} for each in (office, dashboard, witness)]
        assert [mine in each for each in seen] == [True, True, False]
        assert [len(photos & each) for each in seen] == [2, 0, 0]
        outbox.add({"id": "theirs"}, "edge/v1/s/e/case/1")
        uplink.wake()
        await_reason(uplink, "Not authorized")
        assert "edge/v1/s/e/case/1" not in [topic for topic, _ in office.messages]


def pair(authority: Authority, name: str) -> dict[str, Any]:
    return dict(zip(("certificate", "key"), authority.issue(name), strict=True))
