"""Replays a captured scanner as a virtual device that answers as the real one did."""
