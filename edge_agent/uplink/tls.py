"""Encrypted connections: the files they need, and what their failures mean to a person."""

from __future__ import annotations

import select
import ssl
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from cryptography import x509

from edge_agent.config.uplink import Mqtt, Tls

Flaw = tuple[tuple[str, ...], str]
"""Where in the site file, and what is wrong and what to do."""

_VERSIONS: Final = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}

_DISTRUST: Final = {
    9: "it is not valid yet: is this device's clock right (`timedatectl`)? If so, the broker's "
    "certificate was made for later",
    10: "have the broker's certificate renewed; if it is not that old, this device's clock is "
    "wrong (`timedatectl`)",
    18: "it vouches for itself: put that very certificate into mqtt.tls.ca (now {ca}), or have "
    "the broker's certificate issued by an authority",
    23: "its authority has withdrawn it: do not connect; ask whoever runs the broker",
    62: "it is made out for another name: check mqtt.host, write there a name that is in the "
    "certificate, or have the broker's certificate issued for {host}",
    64: "it is made out for another address: check mqtt.host, write there a name that is in the "
    "certificate, or have the broker's certificate issued for {host}",
}
"""By OpenSSL's X509_V_ERR code (x509_vfy.h): why the broker's certificate is not trusted."""

_NO_AUTHORITY: Final = "check mqtt.tls.ca (now {ca}): it must hold the authority that issued it"

_ALERTS: Final = {
    "ALERT_CERTIFICATE_REQUIRED": "it asks for a client certificate: set mqtt.tls.certificate and "
    "mqtt.tls.key",
    "ALERT_CERTIFICATE_EXPIRED": "it refuses our certificate {certificate} as expired{until}: put "
    "a renewed one there; it is read anew at the next connection",
    "ALERT_CERTIFICATE_REVOKED": "it refuses our certificate {certificate} as revoked: put a new "
    "one there; it is read anew at the next connection",
    "ALERT_UNKNOWN_CA": "it does not know who issued our certificate {certificate}: have it "
    "issued by an authority that the broker trusts (mosquitto: `cafile`)",
    "ALERT_BAD_CERTIFICATE": "it refuses our certificate {certificate}{until}: not valid yet by "
    "the broker's clock, damaged, or not made for clients",
    "CERTIFICATE_UNKNOWN": "it refuses our certificate {certificate}{until}: not valid yet by the "
    "broker's clock, damaged, or not made for clients",
    "UNSUPPORTED_CERTIFICATE": "it refuses our certificate {certificate}: it is not made for "
    "clients (extended key usage clientAuth)",
    "PROTOCOL_VERSION": "no TLS version in common: check mqtt.tls.min_version (now {version}), "
    "or have the broker speak it",
    "UNSUPPORTED_PROTOCOL": "no TLS version in common: check mqtt.tls.min_version (now "
    "{version}), or have the broker speak it",
    "WRONG_VERSION_NUMBER": "no TLS there: check mqtt.port (8883 is usual for TLS) and mqtt.tls",
    "RECORD_LAYER_FAILURE": "no TLS there: check mqtt.port (8883 is usual for TLS) and mqtt.tls",
    "UNEXPECTED_EOF": "it hung up during the handshake: is mqtt.port its TLS port (8883 is usual)?",
}
"""By the end of OpenSSL's reason: how a handshake failed."""

_HANDSHAKE: Final = "ALERT_HANDSHAKE_FAILURE"
"""What TLS 1.2 says for a missing client certificate, among other things."""


_VERDICT_S: Final = 0.5
"""Brokers that send no session tickets keep silent; then it is worth no more than this."""


class TlsSocket(ssl.SSLSocket):
    """Closes at once when the handshake fails, and remembers what the other end complained of.

    paho leaves the first to the garbage collector and drops the second; with TLS 1.3 a refused
    client certificate shows only when something is read after the handshake.
    """

    fault: ssl.SSLError | None = None

    def do_handshake(self, block: bool = False) -> None:
        try:
            super().do_handshake(block)
            if self.version() == "TLSv1.3":
                self._hear_verdict()
        except OSError:
            self.close()
            raise

    def _hear_verdict(self) -> None:
        """Wait for what the other end says of our certificate: a session ticket, or an alert.

        Once CONNECT is on its way, the reset of a refused connection may overtake the alert.
        """
        patience_s = self.gettimeout()
        if not select.select([self], [], [], _VERDICT_S)[0]:
            return
        self.settimeout(0)
        try:
            self.recv(1)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            self.settimeout(patience_s)
            return
        raise ConnectionResetError("it hung up, or spoke before its turn")

    def recv(self, *args: Any, **kwargs: Any) -> bytes:  # noqa: ANN401
        try:
            return super().recv(*args, **kwargs)
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            raise
        except ssl.SSLError as error:
            self.fault = error
            raise


def make_context(tls: Tls) -> ssl.SSLContext:
    """What the files say as they are on disk now.

    For files without flaws; raises OSError, which includes what OpenSSL says, for others.
    """
    context = ssl.create_default_context(cafile=tls.ca)
    context.sslsocket_class = TlsSocket
    context.minimum_version = _VERSIONS[tls.min_version]
    if tls.certificate is not None:
        _load_pair(context, tls.certificate, tls.key)
    return context


def tls_flaws(tls: Tls) -> Iterator[Flaw]:
    """Everything that is wrong with the files as they are on the disk now."""
    files = {"ca": tls.ca, "certificate": tls.certificate, "key": tls.key}
    missing = [name for name, path in files.items() if path is not None and not path.is_file()]
    for name in missing:
        yield ("mqtt", "tls", name), f"{files[name]} does not exist"
    if tls.key is not None and tls.certificate is None:
        yield ("mqtt", "tls", "key"), "needs mqtt.tls.certificate as well"
    if tls.ca is not None and "ca" not in missing:
        try:
            ssl.create_default_context(cafile=tls.ca)
        except OSError as error:
            yield ("mqtt", "tls", "ca"), f"{tls.ca} is no PEM certificate ({error})"
    if tls.certificate is not None and not {"certificate", "key"}.intersection(missing):
        yield from _pair_flaws(tls.certificate, tls.key)


def expiry_flaws(tls: Tls, now: datetime) -> Iterator[Flaw]:
    """A client certificate that is not valid now; what cannot be read is for `tls_flaws`."""
    if tls.certificate is None:
        return
    try:
        found = x509.load_pem_x509_certificates(tls.certificate.read_bytes())
    except (OSError, ValueError):
        return
    text = out_of_date(found, now)
    if text is not None:
        yield (
            ("mqtt", "tls", "certificate"),
            f"{tls.certificate} {text}: have a new one issued, or set this clock (`timedatectl`)",
        )


def out_of_date(certificates: Sequence[x509.Certificate], now: datetime) -> str | None:
    """Why a chain is of no use now: the one that begins last, or ends first."""
    begins = max(each.not_valid_before_utc for each in certificates)
    ends = min(each.not_valid_after_utc for each in certificates)
    if now < begins:
        return f"is valid from {begins:%Y-%m-%d}"
    return f"expired on {ends:%Y-%m-%d}" if ends <= now else None


def explain_tls(error: ssl.SSLError, mqtt: Mqtt) -> str:
    """Why there is no encrypted connection, and what to do; without the broker's name."""
    tls = mqtt.tls or Tls()
    words = {
        "ca": tls.ca or "the system's authorities",
        "host": mqtt.host,
        "certificate": tls.certificate or "(none)",
        "until": _validity(tls.certificate),
        "version": tls.min_version,
    }
    if isinstance(error, ssl.SSLCertVerificationError):
        remedy = _DISTRUST.get(error.verify_code, _NO_AUTHORITY).format(**words)
        return f"its certificate is not trusted ({error.verify_message}): {remedy}"
    reason = error.reason or str(error)
    if _HANDSHAKE in reason and tls.certificate is None:
        reason = "ALERT_CERTIFICATE_REQUIRED"
    for part, text in _ALERTS.items():
        if part in reason:
            return text.format(**words)
    return f"no TLS connection ({reason}): check mqtt.port and mqtt.tls"


def _load_pair(context: ssl.SSLContext, certificate: Path, key: Path | None) -> None:
    # Without a password OpenSSL would ask for one on the terminal.
    context.load_cert_chain(certificate, key, password="")


def _pair_flaws(certificate: Path, key: Path | None) -> Iterator[Flaw]:
    try:
        _load_pair(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), certificate, key)
    except OSError as error:
        if "MISMATCH" in (getattr(error, "reason", None) or ""):
            yield (
                ("mqtt", "tls", "key"),
                f"{key or certificate} is not the key of {certificate}: they do not make a pair; "
                "was only one of the two renewed?",
            )
        else:
            yield (
                ("mqtt", "tls", "certificate"),
                f"{certificate} and {key or 'its key'} do not make a pair of PEM certificate and "
                f"key ({error})",
            )


def _validity(certificate: Path | None) -> str:
    if certificate is None:
        return ""
    try:
        found = x509.load_pem_x509_certificate(certificate.read_bytes())
    except (OSError, ValueError):
        return ""
    begin, end = found.not_valid_before_utc, found.not_valid_after_utc
    return f" (valid from {begin:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M} UTC)"
