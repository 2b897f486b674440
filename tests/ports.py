"""Finds TCP ports for the servers of a test.

A port that the system chooses may be given to another process as soon as the test closes it, and then answers where
the test expects that nobody does, or cannot be opened again. Ports from here are for one test process alone.
"""

import itertools
import socket
from functools import cache

# Below the ports that the system gives to outgoing connections: one of those might be taken before the process listens.
FIRST, LAST, BLOCK = 10000, 30000, 400


def _bound(port, *, after_others=False):
    """A socket bound to that TCP port of loopback; raises `OSError` if the port is in use.

    With `after_others`, former connections of the port do not count, as for the port of a server.
    """
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, after_others)
    try:
        made.bind(("127.0.0.1", port))
    except OSError:
        made.close()
        raise
    return made


class Ports:
    """A block of ports that no other test process uses: its first port stays bound while this process runs."""

    def __init__(self):
        for first in range(FIRST, LAST, BLOCK):
            try:
                self._claim = _bound(first)
            except OSError:
                continue
            self._ports = itertools.cycle(range(first + 1, first + BLOCK))
            return
        raise OSError(f"every block of {BLOCK} ports from {FIRST} to {LAST} is in use")

    def free(self):
        """The next port of the block that is free at the moment."""
        for port in itertools.islice(self._ports, BLOCK):
            try:
                _bound(port, after_others=True).close()
            except OSError:
                continue
            return port
        raise OSError("every port of the block is in use")


@cache
def _own_ports():
    return Ports()


def free_port():
    """Returns a TCP port that is free on loopback, and that no other process of the tests gets."""
    return _own_ports().free()
