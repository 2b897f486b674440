"""Gateway for WSD scanners (DPWS and WS-Scan)."""
