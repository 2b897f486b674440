"""Ports for processes that a test starts."""

import socket


def free_port():
    """A TCP port of loopback that is free at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
