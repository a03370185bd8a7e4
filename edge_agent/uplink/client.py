"""A paho client as the site file asks for, and what its failures mean to a person."""

from __future__ import annotations

import socket
import ssl
from pathlib import Path

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from edge_agent.config.models import Mqtt, Tls
from edge_agent.errors import ConfigError

CONNECT_TIMEOUT_S = 5.0


class _TlsSocket(ssl.SSLSocket):
    """Closes at once when the handshake fails; paho leaves that to the garbage collector."""

    def do_handshake(self, block: bool = False) -> None:
        try:
            super().do_handshake(block)
        except OSError:
            self.close()
            raise


def make_client(mqtt: Mqtt, client_id: str) -> Client:
    """An unconnected client with the credentials and certificates as they are on disk now.

    Raises ConfigError when one of their files is missing or not what it should be.
    """
    protocol = MQTTProtocolVersion.MQTTv5 if mqtt.protocol == "5" else MQTTProtocolVersion.MQTTv311
    client = Client(
        CallbackAPIVersion.VERSION2,
        client_id=client_id,
        protocol=protocol,
        reconnect_on_failure=False,  # the owner reconnects, with its own back-off
    )
    client.connect_timeout = CONNECT_TIMEOUT_S
    try:
        mqtt.host.encode("idna")
    except UnicodeError as error:
        raise ConfigError(f"mqtt.host: {mqtt.host!r} cannot be a host name: {error}") from error
    if mqtt.username is not None:
        client.username_pw_set(mqtt.username, _password(mqtt.password_file))
    if mqtt.tls is not None:
        client.tls_set_context(_tls_context(mqtt.tls))
    return client


def properties(mqtt: Mqtt, content_type: str, expiry_s: int | None = None) -> Properties | None:
    """PUBLISH properties, which only MQTT 5 has."""
    if mqtt.protocol != "5":
        return None
    found = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    found.ContentType = content_type
    if expiry_s is not None:
        found.MessageExpiryInterval = expiry_s
    return found


def explain_error(error: OSError, mqtt: Mqtt) -> str:
    """Why no connection came about, and what to do."""
    where = f"broker {mqtt.host}:{mqtt.port}"
    if isinstance(error, ssl.SSLCertVerificationError):
        ca = mqtt.tls.ca if mqtt.tls and mqtt.tls.ca else "the system's authorities"
        return (
            f"{where}: its certificate is not trusted ({error.verify_message}): "
            f"check mqtt.tls.ca (now {ca}) and mqtt.host"
        )
    if isinstance(error, ssl.SSLError):
        return f"{where}: no TLS connection ({error.reason or error}): check mqtt.port and mqtt.tls"
    if isinstance(error, socket.gaierror):
        return f"{where}: the name cannot be resolved: check mqtt.host and the device's DNS"
    if isinstance(error, ConnectionRefusedError):
        return f"{where}: nothing listens there: is the broker running, is mqtt.port right?"
    if isinstance(error, TimeoutError):
        tls = ", and that mqtt.port is its TLS port" if mqtt.tls else ""
        return f"{where}: no answer: check the network, the firewall, mqtt.host{tls}"
    return f"{where}: {error.strerror or error}"


def explain_refusal(code: ReasonCode, mqtt: Mqtt) -> str:
    """Why a broker did not accept the connection, and what to do."""
    where = f"broker {mqtt.host}:{mqtt.port}"
    if code.value in (0x86, 0x87):  # bad user name or password, not authorised
        if mqtt.username is None:
            remedy = "it wants a user: set mqtt.username and mqtt.password_file"
        else:
            remedy = f"check mqtt.username and the password in {mqtt.password_file}"
        return f"{where} refuses user {mqtt.username or '(none)'} ({code}): {remedy}"
    if code.value in (0x84, 0x01):  # unsupported protocol version
        return f"{where} knows no MQTT {mqtt.protocol}: set mqtt.protocol to {_other(mqtt)}"
    return f"{where} refuses the connection: {code}"


def explain_silence(mqtt: Mqtt) -> str:
    """A broker that takes the connection and then does not speak MQTT with us."""
    return (
        f"broker {mqtt.host}:{mqtt.port}: no MQTT answer: check mqtt.port and mqtt.tls; "
        f"or it knows no MQTT {mqtt.protocol}: set mqtt.protocol to {_other(mqtt)}"
    )


def _other(mqtt: Mqtt) -> str:
    return '"3.1.1"' if mqtt.protocol == "5" else '"5"'


def _password(path: Path | None) -> str | None:
    if path is None:
        return None
    try:
        text = path.read_text("utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError(f"mqtt.password_file: {path} is not UTF-8 text") from error
    except OSError as error:
        raise ConfigError(f"mqtt.password_file: {path}: {error.strerror}") from error
    lines = text.splitlines()
    if not lines or not lines[0].strip():
        raise ConfigError(f"mqtt.password_file: {path}: the password belongs on its first line")
    return lines[0]


def _tls_context(tls: Tls) -> ssl.SSLContext:
    for name, path in (("ca", tls.ca), ("certificate", tls.certificate), ("key", tls.key)):
        if path is not None and not path.is_file():
            raise ConfigError(f"mqtt.tls.{name}: {path} does not exist")
    if tls.key is not None and tls.certificate is None:
        raise ConfigError("mqtt.tls.key: needs mqtt.tls.certificate as well")
    try:
        context = ssl.create_default_context(cafile=tls.ca)
    except (ssl.SSLError, OSError) as error:
        raise ConfigError(f"mqtt.tls.ca: {tls.ca} is no PEM certificate ({error})") from error
    context.sslsocket_class = _TlsSocket
    if tls.certificate is None:
        return context
    try:
        # Without a password OpenSSL would ask for one on the terminal.
        context.load_cert_chain(tls.certificate, tls.key, password="")
    except (ssl.SSLError, OSError) as error:
        raise ConfigError(
            f"mqtt.tls.certificate: {tls.certificate} and {tls.key or 'its key'} do not make a "
            f"pair of PEM certificate and key ({error})"
        ) from error
    return context
