"""Fixtures for the tests against a Redis server."""

from tests.redisserver import redis_server, redis_servers

__all__ = ("redis_server", "redis_servers")
