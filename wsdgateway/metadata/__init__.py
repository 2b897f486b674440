"""DPWS metadata, read by WS-Transfer Get, as values."""
