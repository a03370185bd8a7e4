"""edge-agent: cameras in, verifiable evidence out."""

__version__ = "0.1.0"
