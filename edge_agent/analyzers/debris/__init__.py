"""Things on the road that never drove there."""
