"""`verify.html`: verification in a browser, one file that needs no server and no network."""

from __future__ import annotations

import json
from importlib.resources import files

from edge_agent import __version__
from edge_agent.evidence.bundle.manifest import FORMAT, Manifest
from edge_agent.evidence.profiles import Profile, shipped_profiles
from edge_agent.evidence.verification.verify import EXIT_CODES

SCRIPTS = (
    *("bytes.js", "json.js", "container.js", "trust.js", "dsse.js"),
    *("log.js", "consistency.js", "profiles.js", "verify.js", "page.js"),
)
"""In the order in which they need each other."""


def verify_page() -> str:
    """The page as HTML; the manifest's schema and the exit codes are those of this version."""
    constants = {
        "FORMAT": FORMAT,
        "SCHEMA": Manifest.model_json_schema(),
        "EXIT_CODES": dict(EXIT_CODES),
        "PROFILES": {
            name: each.model_dump(mode="json") for name, each in shipped_profiles().items()
        },
        "PROFILE_SCHEMA": Profile.model_json_schema(mode="serialization"),
    }
    head = [f"const {name} = {_inline(value)};" for name, value in constants.items()]
    script = "\n".join((*head, *(_part(name) for name in SCRIPTS)))
    page = _part("page.html").replace("/*STYLE*/", _part("page.css"))
    page = page.replace("/*VERSION*/", f"edge-agent {__version__}, bundles of {FORMAT}")
    return page.replace("/*SCRIPT*/", script)


def _part(name: str) -> str:
    return files(__package__).joinpath(name).read_text("utf-8")


def _inline(value: object) -> str:
    """JSON that cannot end the script that it stands in."""
    return json.dumps(value, sort_keys=True).replace("<", "\\u003c")
