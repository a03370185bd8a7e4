"""The operator's witness: sees every log grow, and says so with a signature and a time."""

from edge_agent.witness.book import Refusal, WitnessBook
from edge_agent.witness.request import Request
from edge_agent.witness.service import WitnessService
from edge_agent.witness.settings import WitnessSettings
from edge_agent.witness.watch import Alarm, Watch

__all__ = [
    "Alarm",
    "Refusal",
    "Request",
    "Watch",
    "WitnessBook",
    "WitnessService",
    "WitnessSettings",
]
