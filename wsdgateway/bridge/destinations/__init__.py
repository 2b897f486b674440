"""Scan destinations of the gateway's own: decides what the panel shows, what a press scans, and how files are named."""
