"""A made-up street, rendered as a pole camera would see it, with exact truth."""
