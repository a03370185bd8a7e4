"""The broker, and the keys and certificates by which the box is known."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509

from edge_agent.app import state_dir
from edge_agent.config import Site
from edge_agent.doctor.finding import Finding, Grade, Patient
from edge_agent.errors import EdgeError
from edge_agent.evidence.keys.identity import Home
from edge_agent.uplink.client import flaws
from edge_agent.uplink.probe import Answer, ask_broker
from edge_agent.uplink.tls import out_of_date

RENEW = timedelta(days=30)


def look_at_broker(patient: Patient) -> Iterator[Finding]:
    mqtt = patient.site.mqtt
    if mqtt is None:
        yield Finding("broker", "warn", "none", "add an mqtt section, or nobody hears of events")
        return
    begin_s = patient.clock.monotonic()
    try:
        answer = ask_broker(mqtt, f"{patient.site.device}-doctor", patient.clock)
    except EdgeError as error:
        yield Finding("broker", "fail", "no connection", str(error))
        return
    took_ms = 1000 * (patient.clock.monotonic() - begin_s)
    found = f"{mqtt.host}:{mqtt.port}, accepted after {took_ms:.0f} ms"
    if mqtt.tls is None and mqtt.host not in ("localhost", "127.0.0.1", "::1"):
        text = "anybody on the way reads and forges: add mqtt.tls, use port 8883"
        yield Finding("broker", "warn", f"{found}, not encrypted", text)
    else:
        yield Finding("broker", "pass", found)
    yield from _of_broker(answer, patient.clock.now())


def _of_broker(answer: Answer, now: datetime) -> Iterator[Finding]:
    if answer.certificate is not None:
        text = "tell whoever runs the broker to renew it"
        yield _validity("broker's certificate", [answer.certificate], now, text)


def look_at_certificates(patient: Patient) -> Iterator[Finding]:
    site, now = patient.site, patient.clock.now()
    told = [text for _, text in flaws(site.mqtt)] if site.mqtt else []
    for subject, path, remedy in _own_certificates(site):
        try:
            found = x509.load_pem_x509_certificates(path.read_bytes())
        except (OSError, ValueError) as error:
            # of the broker's files the line about the connection has said so
            if not any(text.startswith(str(path)) for text in told):
                why = getattr(error, "strerror", None) or "no PEM certificate"
                yield Finding(subject, "fail", f"{path} cannot be read ({why})", remedy)
        else:
            yield _validity(subject, found, now, remedy)
    if not Home.of(state_dir(site), site.device, site.token).certificate.exists():
        yield Finding("device key", "warn", "none yet", "it is made when the service is started")


def _own_certificates(site: Site) -> Iterator[tuple[str, Path, str]]:
    tls = site.mqtt.tls if site.mqtt else None
    if tls is not None and tls.certificate is not None:
        yield "client certificate", tls.certificate, "have a new one issued: mqtt.tls.certificate"
    if tls is not None and tls.ca is not None:
        yield "broker's authority", tls.ca, "ask whoever runs the broker for the new mqtt.tls.ca"
    device = Home.of(state_dir(site), site.device, site.token).certificate
    if device.exists():
        yield (
            "device key",
            device,
            "have `edge-agent key csr` signed, then `edge-agent key install`",
        )


def _validity(
    subject: str, certificates: list[x509.Certificate], now: datetime, remedy: str
) -> Finding:
    """Of the one that ends first."""
    ends = min(each.not_valid_after_utc for each in certificates)
    if (why := out_of_date(certificates, now)) is not None:
        if ends > now:
            remedy = "the clock is wrong, or the certificate is not meant for now"
        return Finding(subject, "fail", why, remedy)
    grade: Grade = "warn" if ends - now < RENEW else "pass"
    return Finding(
        subject, grade, f"valid until {ends:%Y-%m-%d}", remedy if grade == "warn" else ""
    )


def look_at_secrets(patient: Patient) -> Iterator[Finding]:
    """What opens the broker or a camera is nobody else's to read."""
    open_files = [path for path in _secret_files(patient.site) if _is_open(path)]
    for path in open_files:
        yield Finding(f"secret {path.name}", "warn", "anybody may read it", f"`chmod o-rwx {path}`")


def _secret_files(site: Site) -> Iterator[Path]:
    mqtt, sources = site.mqtt, [camera.source for camera in site.cameras.values()]
    named = [mqtt.password_file, mqtt.tls.key if mqtt.tls else None] if mqtt else []
    named += [getattr(source, "credentials_file", None) for source in sources]
    named += [site.token.pin_file if site.token else None]
    yield from dict.fromkeys(path for path in named if path is not None)


def _is_open(path: Path) -> bool:
    try:
        return bool(path.stat().st_mode & 0o007)
    except OSError:  # whoever needs it says so
        return False
