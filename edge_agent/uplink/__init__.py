"""From a decided event to a broker that has acknowledged it."""

from edge_agent.uplink.broker import EmbeddedBroker
from edge_agent.uplink.envelope import (
    birth,
    canonical,
    case_envelope,
    deletion_envelope,
    event_envelope,
)
from edge_agent.uplink.listener import Listener
from edge_agent.uplink.mqtt import Status, Uplink
from edge_agent.uplink.outbox import Outbox, Row
from edge_agent.uplink.presence import present
from edge_agent.uplink.schema import schema_for, schemas
from edge_agent.uplink.standing import StandingFeed
from edge_agent.uplink.topics import topic

__all__ = [
    "EmbeddedBroker",
    "Listener",
    "Outbox",
    "Row",
    "StandingFeed",
    "Status",
    "Uplink",
    "birth",
    "canonical",
    "case_envelope",
    "deletion_envelope",
    "event_envelope",
    "present",
    "schema_for",
    "schemas",
    "topic",
]
