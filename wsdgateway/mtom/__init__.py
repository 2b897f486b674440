"""MTOM: multipart/related bodies, watched as they pass."""
