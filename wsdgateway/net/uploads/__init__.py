"""Uploads of scanned files: requests, and the queue on disk that survives restarts."""
