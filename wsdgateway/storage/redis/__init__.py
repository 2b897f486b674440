"""The store and the coordination of several gateways on a Redis server. Only this package imports `redis`."""
