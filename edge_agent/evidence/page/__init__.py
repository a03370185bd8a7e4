"""`verify.html`: verification in a browser, one file that needs no server and no network."""

from __future__ import annotations

import json
from importlib.resources import files

from edge_agent import __version__
from edge_agent.evidence.bundle.manifest import FORMAT, Manifest
from edge_agent.evidence.bundle.tombstone import Tombstone
from edge_agent.evidence.profiles import Profile, shipped_profiles
from edge_agent.evidence.verification.verify import EXIT_CODES

VERIFICATION = (
    *("bytes.js", "json.js", "container.js", "der.js", "signatures.js", "trust.js", "dsse.js"),
    *("log.js", "witnessed.js", "timestamp.js", "revocation.js", "succession.js"),
    *("consistency.js", "profiles.js", "verify.js", "order.js"),
)
PAGE = ("checker.js", "report.js", "page.js")


def verify_page() -> str:
    """The page as HTML; the manifest's schema and the exit codes are those of this version."""
    constants = {
        "FORMAT": FORMAT,
        "SCHEMA": Manifest.model_json_schema(),
        "TOMBSTONE_SCHEMA": Tombstone.model_json_schema(),
        "EXIT_CODES": dict(EXIT_CODES),
        "PROFILES": {
            name: each.model_dump(mode="json") for name, each in shipped_profiles().items()
        },
        "PROFILE_SCHEMA": Profile.model_json_schema(mode="serialization"),
    }
    head = "".join(f"const {name} = {_inline(value)};\n" for name, value in constants.items())
    parts = {
        "STYLE": _part("page.css"),
        "VERSION": f"edge-agent {__version__}, bundles of {FORMAT}",
        "VERIFICATION": head + _joined(VERIFICATION),
        "WORKER": _part("worker.js"),
        "PAGE": _joined(PAGE),
    }
    page = _part("page.html")
    for name, text in parts.items():
        page = page.replace(f"/*{name}*/", text)
    return page


def _joined(names: tuple[str, ...]) -> str:
    return "\n".join(map(_part, names))


def _part(name: str) -> str:
    return files(__package__).joinpath(name).read_text("utf-8")


def _inline(value: object) -> str:
    """JSON that cannot end the script that it stands in."""
    return json.dumps(value, sort_keys=True).replace("<", "\\u003c")
