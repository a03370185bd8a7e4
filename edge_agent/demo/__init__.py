"""The main job on footage of our own: what ships, and how it is run."""

from edge_agent.demo.footage import CLIP, SITE, TRUTH
from edge_agent.demo.run import Shown, run_demo

__all__ = ["CLIP", "SITE", "TRUTH", "Shown", "run_demo"]
