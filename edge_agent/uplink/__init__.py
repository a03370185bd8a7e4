"""From a decided event to a broker that has acknowledged it."""
