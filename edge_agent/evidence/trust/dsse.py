"""DSSE v1 envelopes: what is signed is exactly what is carried, together with its type.

https://github.com/secure-systems-lab/dsse (protocol.md, envelope.md). ECDSA signatures are DER,
as in that project's own implementations.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, replace
from typing import Protocol

import rfc8785
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)
from pydantic import BaseModel, ConfigDict, Field, ValidationError

PAYLOAD_TYPE = "application/vnd.edge-agent.manifest+json"

_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""Of the curve P-256 (SP 800-186, 3.2.1.3)."""


class _Signature(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    keyid: str
    sig: str


class _Json(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    payload: str
    payloadType: str  # noqa: N815 (the specification's name)
    signatures: list[_Signature] = Field(min_length=1, max_length=1)


class Signer(Protocol):
    """Whoever signs in a device's name."""

    @property
    def fingerprint(self) -> str: ...

    def sign(self, data: bytes) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Envelope:
    """One signed payload with one signature."""

    payload: bytes
    signature: bytes
    key_id: str
    payload_type: str = PAYLOAD_TYPE

    @classmethod
    def sealed(cls, payload: bytes, key: Signer, payload_type: str = PAYLOAD_TYPE) -> Envelope:
        """The payload, signed by the key as one of that type."""
        claim = cls(payload, b"", key.fingerprint, payload_type)
        return replace(claim, signature=key.sign(claim.signed))

    @property
    def signed(self) -> bytes:
        """What the signature covers."""
        return pae(self.payload_type, self.payload)

    def to_bytes(self) -> bytes:
        """Canonical JSON (RFC 8785)."""
        signature = {"keyid": self.key_id, "sig": base64.b64encode(self.signature).decode()}
        return rfc8785.dumps(
            {
                "payload": base64.b64encode(self.payload).decode(),
                "payloadType": self.payload_type,
                "signatures": [signature],
            }
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> Envelope:
        """Parse; raises ValueError for anything that `to_bytes` would not have written."""
        try:
            found = _Json.model_validate_json(data)
        except ValidationError as error:
            raise ValueError("is not a DSSE envelope with one signature") from error
        signature = found.signatures[0]
        try:
            payload = base64.b64decode(found.payload, validate=True)
            raw = base64.b64decode(signature.sig, validate=True)
        except ValueError as error:
            raise ValueError("holds a payload or signature that is not base64") from error
        envelope = cls(payload, raw, signature.keyid, found.payloadType)
        if envelope.to_bytes() != data:
            raise ValueError("is not in canonical form")
        return envelope


def low_s(signature: bytes) -> bytes:
    """The one accepted form of a P-256 signature in DER; raises ValueError for what is none.

    (r, s) and (r, n - s) are equally true, so that anybody can make the other form; only the one
    with s <= n / 2 counts, and a bundle's bytes are what they are.
    """
    r, s = decode_dss_signature(signature)
    return encode_dss_signature(r, min(s, _ORDER - s))


def pae(payload_type: str, payload: bytes) -> bytes:
    """Pre-authentication encoding: type and payload, each preceded by its length in bytes."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)
