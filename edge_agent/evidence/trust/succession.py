"""A device's old key names its new one, so that whoever trusts the old one can go on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress

from cryptography.hazmat.primitives.serialization import Encoding
from pydantic import BaseModel, ConfigDict, ValidationError

from edge_agent.errors import EvidenceError
from edge_agent.evidence.trust.certificates import Chain, read_chain, read_roots
from edge_agent.evidence.trust.dsse import Envelope
from edge_agent.evidence.trust.revocation import Revocations, revocation_flaws

STATEMENT_TYPE = "application/vnd.edge-agent.key-successor+json"


class _Said(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    device: str
    successor: str
    """The new certificate, PEM."""
    when: str


def with_successors(root: bytes, statements: Sequence[bytes], lists: Revocations) -> bytes:
    """The roots (PEM), and every certificate that they name as their successor, in turn.

    Raises EvidenceError for a statement that nobody among them made, or that was made by a key
    which one of the lists revokes: a thief could have made it.
    """
    for statement in statements:
        root += _successor(root, statement, lists)
    return root


def _successor(root: bytes, statement: bytes, lists: Revocations) -> bytes:
    try:
        envelope = Envelope.from_bytes(statement)
        said = _Said.model_validate_json(envelope.payload)
        new = read_chain(said.successor.encode())
    except (ValueError, ValidationError) as error:
        raise EvidenceError("successor: is not a statement about a device's next key") from error
    is_one = envelope.payload_type == STATEMENT_TYPE
    for old in _devices(root):
        if not (is_one and old.covers(envelope.signed, envelope.signature)):
            continue
        if not said.device == old.name == new.name:
            raise EvidenceError(f"successor: names {new.name}, but was signed by {old.name}")
        if flaw := next(revocation_flaws(old, (), lists, None), None):
            raise EvidenceError(f"successor: {flaw}; ask for the new certificate another way")
        return said.successor.encode()
    raise EvidenceError(
        "successor: was not signed by a trusted device: pass its old certificate as --root, and "
        "several statements in the order in which they were made"
    )


def _devices(root: bytes) -> Iterator[Chain]:
    for certificate in read_roots(root):
        with suppress(ValueError):  # a CA with another kind of key
            yield read_chain(certificate.public_bytes(Encoding.PEM))
