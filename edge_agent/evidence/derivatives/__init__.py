"""Copies for people: overlay, printed sheet, Content Credentials."""
