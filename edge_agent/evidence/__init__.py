"""From events to evidence: choosing photos, signing bundles, verifying them offline."""

from edge_agent.evidence.case.collector import CaseCollector
from edge_agent.evidence.keys import DeviceKey
from edge_agent.evidence.verification.lineage import verify_chain
from edge_agent.evidence.verification.verify import (
    EXIT_CODES,
    Finding,
    Report,
    extract,
    verify,
)
from edge_agent.evidence.writer import BundleWriter

__all__ = [
    "EXIT_CODES",
    "BundleWriter",
    "CaseCollector",
    "DeviceKey",
    "Finding",
    "Report",
    "extract",
    "verify",
    "verify_chain",
]
