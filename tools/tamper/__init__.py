"""Bundles made at random, and every way of tampering with them that verification must find."""
