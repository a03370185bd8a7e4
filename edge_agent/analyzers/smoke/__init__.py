"""Smoke and fire, from the picture alone."""
