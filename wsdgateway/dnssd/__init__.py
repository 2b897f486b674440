"""Multicast DNS (RFC 6762) and DNS-based service discovery (RFC 6763): messages, records and services as values."""
