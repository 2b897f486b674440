"""The replayed scanner as a Twisted service: its port and its site."""

import time
import uuid
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.web.server import Site

from wsdgateway.net.listening import Listener
from wsdgateway.replay.recording import Recording
from wsdgateway.replay.web import Replay, paths

LOOPBACK = "tcp:8019:interface=127.0.0.1"


def _new_id() -> str:
    return f"urn:uuid:{uuid.uuid4()}"


class _QuietSite(Site):
    noisy = False

    def log(self, request: Any) -> None:
        """Say nothing of each request; the replay does."""


class ReplayedScanner(Listener):
    """A scanner from a recording that listens while it runs. `say` is told of every request and event."""

    def __init__(self, reactor: Any, recording: Recording, *, endpoint: str = LOOPBACK, speed: float = 1.0,
                 say: Callable[[str], None] = lambda line: None, wall: Callable[[], float] = time.time,
                 on_try: Callable[[], None] = lambda: None) -> None:
        self._recording = recording
        self.replay = Replay(reactor, recording, speed=speed, wall=wall, new_id=_new_id, say=say)
        super().__init__(reactor, endpoint, _QuietSite(self.replay), on_try)

    def urls(self) -> dict[str, str]:
        """Where the `scan` service and the `device` are, once it listens."""
        host, port = self.address or ("", 0)
        base = f"http://{f'[{host}]' if ':' in host else host}:{port}"
        found = paths(self._recording)
        return {name: base + path for name, path in sorted({"scan": "/", **found}.items(), reverse=True)}

    def stopService(self) -> Deferred[None]:
        self.replay.stop()
        return super().stopService()
