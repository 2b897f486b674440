"""Requests to scanners: connections, the request queue, rate limit, circuit breaker, and replies."""
