"""Scan jobs of the gateway's own: sends their requests to the scanner, and writes their pages to the spool."""
