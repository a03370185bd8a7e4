"""Content Credentials (C2PA 2.2) in copies that are handed out: any C2PA viewer shows the signer.

An optional layer over the bundle, never in its place: a copy says which file of which bundle it
is. Without a thumbnail it grows by some 12 KB. Needs the extra `c2pa` (c2pa-python).
"""

from __future__ import annotations

import importlib
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Literal

from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from edge_agent.errors import EvidenceError
from edge_agent.evidence.keys import DeviceKey
from edge_agent.evidence.trust.certificates import read_chain

FACTS = "org.edge-agent.evidence"
"""Label of the assertion that leads back to the bundle."""

_MIME = "image/jpeg"
_CAPTURED = "http://cv.iptc.org/newscodes/digitalsourcetype/digitalCapture"
_EDITED = "bystanders and other vehicles' plates made irrecognisable"
_NEEDED = (
    "the device's certificate must be issued by a CA, with key usage digitalSignature, extended "
    "key usage emailProtection and an authority key identifier: see `edge-agent key csr`"
)


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a copy's credentials are worth, and what they say."""

    state: Literal["Trusted", "Valid", "Invalid"]
    """In C2PA's words; `Valid`: unaltered, but by whom is not known."""
    signer: str
    facts: Mapping[str, Any]
    """The assertion `FACTS`; empty if there is none."""
    problems: tuple[str, ...]
    """C2PA's codes of what is wrong."""


def with_credentials(
    jpeg: bytes, title: str, facts: Mapping[str, Any], key: DeviceKey, tsa_url: str | None = None
) -> bytes:
    """The same picture (JPEG) with credentials signed by the device's key.

    `facts` say where it comes from. With a `tsa_url` (RFC 3161) viewers accept it beyond the end
    of the device's certificate. Raises EvidenceError, as for a certificate of the device's own
    making: C2PA accepts none.
    """
    library, chain = _library(), read_chain(key.chain_pem)
    device = chain.certificates[0]
    if device.issuer == device.subject:
        raise EvidenceError(f"{key.certificate}: no Content Credentials: {_NEEDED}")
    settings = {"builder": {"thumbnail": {"enabled": False}}}
    copy = io.BytesIO()
    try:
        signer = library.Signer.from_callback(
            lambda data: _plain(key.sign(data)),
            library.C2paSigningAlg.ES256,
            key.chain_pem.decode(),
            tsa_url,
        )
        context = library.Context(library.Settings.from_dict(settings))
        with library.Builder(_manifest(title, facts), context) as builder:
            builder.sign(signer, _MIME, io.BytesIO(jpeg), copy)
    except library.C2paError as error:
        cure = _NEEDED if "certificate" in str(error) else "see `evidence: timestamp:`"
        raise EvidenceError(f"{title}: no Content Credentials: {error}; {cure}") from error
    return copy.getvalue()


def read_credentials(jpeg: bytes, root: bytes | None = None) -> Credentials:
    """Check the credentials of a copy; `root` (PEM): CAs to trust.

    Raises EvidenceError where there are none, as after any re-encoding.
    """
    library = _library()
    trust = {} if root is None else {"trust": {"trust_anchors": root.decode()}}
    try:
        context = library.Context(library.Settings.from_dict(trust))
        with library.Reader(_MIME, io.BytesIO(jpeg), context=context) as reader:
            found = json.loads(reader.json())
    except library.C2paError as error:
        raise EvidenceError(f"holds no Content Credentials that can be read: {error}") from error
    manifest = found["manifests"][found["active_manifest"]]
    facts = [item["data"] for item in manifest["assertions"] if item["label"] == FACTS]
    signed = manifest.get("signature_info", {})
    problems = tuple(item["code"] for item in found.get("validation_status", ()))
    signer = signed.get("common_name") or signed.get("issuer") or ""
    state = found["validation_state"]
    return Credentials(state, signer, facts[0] if facts else {}, problems)


def _manifest(title: str, facts: Mapping[str, Any]) -> dict[str, Any]:
    actions = [
        {"action": "c2pa.created", "digitalSourceType": _CAPTURED},
        {"action": "c2pa.edited", "description": _EDITED},
    ]
    return {
        "claim_generator_info": [{"name": "edge-agent"}],
        "format": _MIME,
        "title": title,
        "assertions": [
            {"label": "c2pa.actions.v2", "data": {"actions": actions}},
            {"label": FACTS, "data": dict(facts)},
        ],
    }


def _plain(signature: bytes) -> bytes:
    """r and s side by side, as COSE wants them (RFC 9053, 2.1)."""
    return b"".join(part.to_bytes(32, "big") for part in decode_dss_signature(signature))


def _library() -> ModuleType:
    try:
        return importlib.import_module("c2pa")
    except ImportError as error:
        raise EvidenceError(
            "Content Credentials need the extra `c2pa`: run `pip install 'edge-agent[c2pa]'`"
        ) from error
