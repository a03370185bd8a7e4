"""Whether a bundle is what it says: offline, by everybody."""
