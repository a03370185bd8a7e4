"""The service, as systemd knows it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

from edge_agent.doctor.finding import Finding, Patient
from edge_agent.live.metrics import missing_library, taken_port

SERVICE = "edge-agent.service"


def look_at_service(patient: Patient) -> Iterator[Finding]:
    known = service_state()
    if known.get("LoadState") != "loaded":
        text = "run tools/install_service.sh, or nothing watches when nobody is logged in"
        yield Finding("service", "warn", "not installed", text)
    elif known["ActiveState"] in ("failed", "inactive"):
        text = "see `journalctl -u edge-agent -n 50`, then `systemctl restart edge-agent`"
        yield Finding("service", "fail", f"{known['ActiveState']} ({known['Result']})", text)
    elif (restarts := known["NRestarts"]) != "0":
        text = "see `journalctl -u edge-agent -p warning` for why"
        yield Finding("service", "warn", f"{known['ActiveState']}, restarted {restarts}x", text)
    else:
        yield Finding("service", "pass", known["ActiveState"])


def look_at_metrics(patient: Patient) -> Iterator[Finding]:
    """Its port is tried, unless the service has it."""
    settings = patient.site.metrics
    if settings is None:
        return
    is_running = service_state().get("ActiveState") == "active"
    text = missing_library() or (None if is_running else taken_port(settings))
    if text is not None:
        yield Finding("metrics", "fail", "cannot be served", f"metrics: {text}")
    else:
        yield Finding("metrics", "pass", f"port {settings.port}")


def service_state() -> dict[str, str]:
    """What systemd says of the service; empty without systemd."""
    names = "LoadState,ActiveState,Result,NRestarts"
    try:
        done = subprocess.run(
            ["systemctl", "show", SERVICE, f"--property={names}"],
            capture_output=True,
            text=True,
            timeout=5,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return {}
    return dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)
