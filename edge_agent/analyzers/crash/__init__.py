"""Collisions, told from the motion of outlines."""
