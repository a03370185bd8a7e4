"""The daemon on the pole: live cameras, their threads, and what a service owes its box."""
