"""Vehicles that stand where they should not."""
