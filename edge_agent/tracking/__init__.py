"""Joins the detections of one camera into tracks, in seconds."""

from edge_agent.tracking.tracker import Tracker

__all__ = ["Tracker"]
