"""Parking bays: who stands in them, for how long, at what price."""
