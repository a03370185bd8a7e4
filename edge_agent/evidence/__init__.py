"""From events to evidence: choosing photos, signing bundles, verifying them offline."""

from edge_agent.evidence.bundle import BundleWriter
from edge_agent.evidence.case import CaseCollector
from edge_agent.evidence.keys import DeviceKey
from edge_agent.evidence.lineage import verify_chain
from edge_agent.evidence.verify import (
    EXIT_CODES,
    Finding,
    Report,
    extract,
    verify,
)

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
