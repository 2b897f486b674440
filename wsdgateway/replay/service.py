"""The replayed scanner as a Twisted service: its port and its site."""

import time
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred

from wsdgateway.net.transport.listener import Listener
from wsdgateway.net.transport.localaddress import url_of
from wsdgateway.replay.recording import Recording
from wsdgateway.replay.web import Replay, paths
from wsdgateway.simulator.service import QuietSite, new_id

LOOPBACK = "tcp:8019:interface=127.0.0.1"


class ReplayedScanner(Listener):
    """A Twisted service that replays a recorded scanner. `say` is called with a line for each request and event."""

    def __init__(self, reactor: Any, recording: Recording, *, endpoint: str = LOOPBACK, speed: float = 1.0,
                 say: Callable[[str], None] = lambda line: None, wall: Callable[[], float] = time.time,
                 on_try: Callable[[], None] = lambda: None) -> None:
        self._recording = recording
        self.replay = Replay(reactor, recording, speed=speed, wall=wall, new_id=new_id, say=say)
        super().__init__(reactor, endpoint, QuietSite(self.replay, reactor=reactor), on_try)

    def urls(self) -> dict[str, str]:
        """The URLs of the `scan` service and the `device`, once it listens."""
        base = url_of(*(self.address or ("", 0)))
        found = paths(self._recording)
        return {name: base + path for name, path in sorted({"scan": "/", **found}.items(), reverse=True)}

    def stopService(self) -> Deferred[None]:
        self.replay.stop()
        return super().stopService()
