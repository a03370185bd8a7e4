"""The device's identity: a P-256 key in a file or a token, and a certificate for it."""

from edge_agent.evidence.keys.identity import DeviceKey

__all__ = ["DeviceKey"]
