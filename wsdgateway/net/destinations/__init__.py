"""Scan destinations of the gateway's own on the panels of scanners: registration, scans, files."""
