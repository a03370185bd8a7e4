"""Pictures of what every rule does, in scenes of our own: `python -m gallery` writes the page."""
