"""Number plates over time, and what they open."""
