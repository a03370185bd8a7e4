"""The topic tree: which envelope goes where."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_ROOT = "edge/v1/{site}/{device}"
_LEAVES = (
    "status",
    "info",
    "cam/{camera}/event/{family}/{kind}",
    "cam/{camera}/stats",
    "case/{case}",
    "case/{case}/media/{role}",
    "io/out/{output}",
    "log/checkpoint",
)
_LIVE = (
    "health",
    "cam/{camera}/status",
    "io/in/{input}",
    "cmd/{command}",
    "cmd/{command}/response",
)
"""Of a live device only: a replay has no health and obeys nobody."""
_WITNESSED = (
    "log/add-checkpoint/{witness}",
    "log/cosignature/{witness}",
    "log/alarm/{witness}",
)
"""Between a live device's log and its witnesses; a replay's log has none."""

ADDRESSES = (
    *(f"{root}/{leaf}" for root in (_ROOT, f"{_ROOT}/replay") for leaf in _LEAVES),
    *(f"{_ROOT}/{leaf}" for leaf in (*_LIVE, *_WITNESSED)),
)
"""Every topic that exists, as templates; `asyncapi.yaml` describes exactly these."""

CASE_TYPE = "edge.evidence.case.v1"
STATS_TYPE = "edge.flow.lane.v1"
OUTPUT_TYPE = "edge.io.out.v1"


def root(site: str, device: str, is_replay: bool) -> str:
    """The part that all topics of one device share; replays have a subtree of their own."""
    base = _ROOT.format(site=site, device=device)
    return f"{base}/replay" if is_replay else base


def status(tree: str) -> str:
    """Retained `{"state": "online" | "offline" | "stopped"}` of the device whose root is given."""
    return f"{tree}/status"


def info(tree: str) -> str:
    """Retained birth message of the device whose root is given."""
    return f"{tree}/info"


def checkpoint(tree: str) -> str:
    """Retained checkpoint of the log (signed note) of the device whose root is given."""
    return f"{tree}/log/checkpoint"


def is_case(name: str) -> bool:
    """True for the topic of a case's record."""
    return name.split("/")[-2:-1] == ["case"]


def medium(case: str, role: str) -> str:
    """A file of the case whose record has this topic."""
    return f"{case}/media/{role}"


def health(tree: str) -> str:
    """How the device is doing, every so often, with an expiry."""
    return f"{tree}/health"


def camera_status(tree: str, camera: str) -> str:
    """Retained: whether a camera delivers, and if not, why."""
    return f"{tree}/cam/{camera}/status"


def line(tree: str, direction: str, name: str) -> str:
    """Retained: the state of a contact; `direction` is `in` or `out`."""
    return f"{tree}/io/{direction}/{name}"


def command(tree: str, name: str) -> str:
    """Requests to the device."""
    return f"{tree}/cmd/{name}"


def response(tree: str, name: str) -> str:
    """Answers to a command; requesters may choose a topic below it."""
    return f"{tree}/cmd/{name}/response"


def add_checkpoint(tree: str, witness: str) -> str:
    """Requests for a cosignature; `witness` is the key id (hex) of who is asked."""
    return f"{tree}/log/add-checkpoint/{witness}"


def cosignature(tree: str, witness: str) -> str:
    """Retained: the newest checkpoint that the witness of this key id (hex) has cosigned."""
    return f"{tree}/log/cosignature/{witness}"


def alarm(tree: str, witness: str) -> str:
    """Retained: what the witness of this key id (hex) found wrong with the log."""
    return f"{tree}/log/alarm/{witness}"


def topic(envelope: Mapping[str, Any]) -> str:
    """Where an envelope is published: its case, its output, or its camera's event branch."""
    device_urn, camera = str(envelope["source"]).split("/cam/")
    site, device = device_urn.removeprefix("urn:edge:").split(":")
    tree = root(site, device, envelope["data"]["source"]["kind"] == "replay")
    if envelope["type"] == CASE_TYPE:
        return f"{tree}/{envelope['subject']}"
    if envelope["type"] == OUTPUT_TYPE:
        return f"{tree}/io/out/{envelope['data']['output']}"
    if envelope["type"] == STATS_TYPE:
        return f"{tree}/cam/{camera}/stats"
    _, family, kind, _ = str(envelope["type"]).split(".")
    return f"{tree}/cam/{camera}/event/{family}/{kind}"
