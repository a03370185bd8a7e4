"""How traffic moves."""
