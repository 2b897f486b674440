"""TLS on both sides: the gateway's own certificates, and those that it trusts. RFC 8446, RFC 5246, RFC 9325."""
