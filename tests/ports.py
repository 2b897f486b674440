"""Finds TCP ports for processes that a test starts."""

import socket


def free_port():
    """Returns a TCP port that is currently free on loopback."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
