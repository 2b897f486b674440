"""Uploads of files to servers: what an answer means, and when a file is sent again."""
