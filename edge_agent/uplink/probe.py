"""Whether the broker would take us, asked with a connection that publishes nothing."""

from __future__ import annotations

import ssl
from dataclasses import dataclass

from cryptography import x509
from paho.mqtt.client import Client, ConnectFlags
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from edge_agent.clock import Clock
from edge_agent.config.uplink import Mqtt
from edge_agent.errors import UplinkError
from edge_agent.uplink.client import (
    CONNECT_TIMEOUT_S,
    explain_error,
    explain_refusal,
    explain_silence,
    make_client,
)

_POLL_S = 0.1


@dataclass(frozen=True, slots=True)
class Answer:
    """A broker that accepted."""

    certificate: x509.Certificate | None
    """Its own; None without TLS."""


def ask_broker(mqtt: Mqtt, client_id: str, clock: Clock) -> Answer:
    """Connect as the site file says and leave again.

    Raises UplinkError with why it was refused and what to do, ConfigError for a file that is wrong.
    """
    client = make_client(mqtt, client_id)
    answers: list[ReasonCode] = []

    def on_connect(
        _c: Client, _u: object, _f: ConnectFlags, code: ReasonCode, _p: Properties | None
    ) -> None:
        answers.append(code)

    client.on_connect = on_connect
    try:
        client.connect(mqtt.host, mqtt.port, mqtt.keepalive_s)
    except OSError as error:
        raise UplinkError(explain_error(error, mqtt)) from error
    deadline_s = clock.monotonic() + CONNECT_TIMEOUT_S
    line = client.socket()
    certificate = _certificate(line)
    try:
        while not answers and client.socket() is not None and clock.monotonic() < deadline_s:
            client.loop(_POLL_S)
    finally:
        client.disconnect()
        if line is not None:
            line.close()
    if not answers:
        raise UplinkError(explain_silence(mqtt))
    if answers[0].is_failure:
        raise UplinkError(explain_refusal(answers[0], mqtt))
    return Answer(certificate)


def _certificate(line: object) -> x509.Certificate | None:
    data = line.getpeercert(binary_form=True) if isinstance(line, ssl.SSLSocket) else None
    return None if data is None else x509.load_der_x509_certificate(data)
