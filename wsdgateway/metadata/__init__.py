"""DPWS metadata by WS-Transfer Get, as values."""
