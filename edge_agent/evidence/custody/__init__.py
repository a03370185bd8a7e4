"""What becomes of evidence: who may see it, how long it stays, who asked for it to be kept."""
