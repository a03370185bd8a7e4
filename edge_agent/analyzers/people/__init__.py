"""Where people are, and what they wear."""
