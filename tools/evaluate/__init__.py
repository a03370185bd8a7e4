"""Measures the product on real material; `python -m evaluate` runs everything."""
