"""The service, as systemd knows it."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

from edge_agent.doctor.finding import Finding, Patient

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
