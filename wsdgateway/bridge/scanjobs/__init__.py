"""Scan jobs of the gateway's own: decides what is sent to the scanner, and keeps track of the pages."""
