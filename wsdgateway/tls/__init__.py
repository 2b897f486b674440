"""TLS on both sides: whose certificates are shown, and whose are believed. RFC 8446, RFC 5246, RFC 9325."""
