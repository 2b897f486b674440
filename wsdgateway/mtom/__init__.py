"""MTOM: parses multipart/related bodies as they pass."""
