"""Which pictures document a happening, and how well they show it."""
