"""Requests to scanners: connections, the queue for them, rate limit, circuit breaker, replies."""
