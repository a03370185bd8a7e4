"""The transparency log: append-only, signed, provable offline (C2SP, RFC 6962)."""

from edge_agent.evidence.log.checkpoint import Checkpoint
from edge_agent.evidence.log.key import LogKey, Statement, certify
from edge_agent.evidence.log.log import MerkleLog
from edge_agent.evidence.log.note import Note, Signature, Vkey, cosign
from edge_agent.evidence.log.proof import Proof

__all__ = [
    "Checkpoint",
    "LogKey",
    "MerkleLog",
    "Note",
    "Proof",
    "Signature",
    "Statement",
    "Vkey",
    "certify",
    "cosign",
]
