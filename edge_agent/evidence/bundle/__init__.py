"""What a bundle is: its files, its manifest, its place in the chain and in the log."""
