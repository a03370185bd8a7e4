"""A paho client as the site file asks for, and what its failures mean to a person."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from edge_agent.config.uplink import Mqtt
from edge_agent.errors import ConfigError
from edge_agent.uplink.tls import Flaw, explain_tls, make_context, tls_flaws

CONNECT_TIMEOUT_S = 5.0


def make_client(mqtt: Mqtt, client_id: str, is_resumed: bool = False) -> Client:
    """An unconnected client with the credentials and certificates as they are on disk now.

    With `is_resumed` a broker keeps what arrives for it while it is away (MQTT 3.1.1; with MQTT 5
    that is said when connecting). Raises ConfigError with all that is wrong with the files.
    """
    found = [f"{'.'.join(where)}: {text}" for where, text in flaws(mqtt)]
    if found:
        raise ConfigError("; ".join(found))
    protocol = MQTTProtocolVersion.MQTTv5 if mqtt.protocol == "5" else MQTTProtocolVersion.MQTTv311
    client = Client(
        CallbackAPIVersion.VERSION2,
        client_id=client_id,
        protocol=protocol,
        clean_session=None if mqtt.protocol == "5" else not is_resumed,
        reconnect_on_failure=False,  # the owner reconnects, with its own back-off
    )
    client.connect_timeout = CONNECT_TIMEOUT_S
    if mqtt.username is not None:
        secret = mqtt.password_file
        password = None if secret is None else secret.read_text("utf-8").splitlines()[0]
        client.username_pw_set(mqtt.username, password)
    if mqtt.tls is not None:
        client.tls_set_context(make_context(mqtt.tls))
    return client


def flaws(mqtt: Mqtt) -> Iterator[Flaw]:
    """Everything that keeps a client from being made: the host's name, the files on the disk."""
    try:
        mqtt.host.encode("idna")
    except UnicodeError as error:
        yield ("mqtt", "host"), f"{mqtt.host!r} cannot be a host name: {error}"
    if mqtt.password_file is not None:
        why = _password_flaw(mqtt.password_file)
        if why is not None:
            yield ("mqtt", "password_file"), f"{mqtt.password_file}{why}"
    if mqtt.tls is not None:
        yield from tls_flaws(mqtt.tls)


def properties(
    mqtt: Mqtt, content_type: str, expiry_s: int | None, correlation: bytes | None
) -> Properties | None:
    """PUBLISH properties, which only MQTT 5 has."""
    if mqtt.protocol != "5":
        return None
    found = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
    found.ContentType = content_type
    if expiry_s is not None:
        found.MessageExpiryInterval = expiry_s
    if correlation is not None:
        found.CorrelationData = correlation
    return found


def explain_error(error: OSError, mqtt: Mqtt) -> str:
    """Why no connection came about, and what to do."""
    where = f"broker {mqtt.host}:{mqtt.port}"
    if isinstance(error, ssl.SSLError):
        return f"{where}: {explain_tls(error, mqtt)}"
    if isinstance(error, socket.gaierror):
        return f"{where}: the name cannot be resolved: check mqtt.host and the device's DNS"
    if isinstance(error, ConnectionRefusedError):
        return f"{where}: nothing listens there: is the broker running, is mqtt.port right?"
    if isinstance(error, TimeoutError):
        tls = ", and that mqtt.port is its TLS port" if mqtt.tls else ""
        return f"{where}: no answer: check the network, the firewall, mqtt.host{tls}"
    if isinstance(error, ConnectionResetError) and mqtt.tls:
        return f"{where}: it hung up during the TLS handshake: is mqtt.port its TLS port?"
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
    if mqtt.tls is not None:
        return (
            f"broker {mqtt.host}:{mqtt.port}: it hung up or kept silent after the TLS handshake: "
            f"check that it accepts our certificate (mqtt.tls.certificate, now "
            f"{mqtt.tls.certificate or 'none'}) and speaks MQTT {mqtt.protocol}; its log says why"
        )
    return (
        f"broker {mqtt.host}:{mqtt.port}: no MQTT answer: check mqtt.port and mqtt.tls; "
        f"or it knows no MQTT {mqtt.protocol}: set mqtt.protocol to {_other(mqtt)}"
    )


def _other(mqtt: Mqtt) -> str:
    return '"3.1.1"' if mqtt.protocol == "5" else '"5"'


def _password_flaw(path: Path) -> str | None:
    try:
        lines = path.read_text("utf-8").splitlines()
    except UnicodeDecodeError:
        return " is not UTF-8 text"
    except OSError as error:
        return f": {error.strerror}"
    is_there = bool(lines and lines[0].strip())
    return None if is_there else ": the password belongs on its first line"
