"""`/api/stream`: exchanges as they end, as server-sent events.

HTML, section 9.2. Who takes them too slowly, or comes back after a break, is told how many were missed.
"""

from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IDelayedCall, IPushProducer
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request
from zope.interface import implementer

from wsdgateway.exchangelog.entry import write_entry
from wsdgateway.exchangelog.log import KEPT, ExchangeLog

MAX_STREAMS = 100
MAX_AT_ONCE = 500  # events a look
LOOK_SECONDS = 0.25
BEAT_SECONDS = 15.0


@implementer(IPushProducer)
class _Listener:
    """One that listens. It looks at the log from time to time: an exchange costs nothing for who listens."""

    def __init__(self, reactor: Any, log: ExchangeLog, instance: str, request: Any, position: int,
                 left: Callable[["_Listener"], None]) -> None:
        self._reactor = reactor
        self._log = log
        self._instance = instance
        self._request = request
        self._position = position
        self._left = left
        self._paused = False
        self._quiet = 0.0
        self._timer: IDelayedCall | None = None
        request.notifyFinish().addErrback(lambda _: self._gone())
        request.registerProducer(self, True)
        self._look()

    def _look(self) -> None:
        self._timer = self._reactor.callLater(LOOK_SECONDS, self._look)
        if self._paused:
            return
        entries = self._log.since(self._position)[:MAX_AT_ONCE]
        written = []
        if entries and entries[0].number > self._position + 1:
            written.append(f'event: missed\ndata: {{"count":{entries[0].number - self._position - 1}}}\n\n')
        for one in entries:
            line = f'{{"number":{one.number},{write_entry(one.entry)[1:]}'
            written.append(f"id: {self._instance}-{one.number}\nevent: exchange\ndata: {line}\n\n")
        if entries:
            self._position = entries[-1].number
            self._quiet = 0.0
        else:
            self._quiet += LOOK_SECONDS
            if self._quiet >= BEAT_SECONDS:
                self._quiet = 0.0
                written.append(": still here\n\n")  # so that a broken connection is noticed
        if written:
            self._request.write("".join(written).encode())

    def end(self) -> None:
        """Send no more."""
        self._gone()
        self._request.unregisterProducer()
        self._request.finish()

    def _gone(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._left(self)

    def pauseProducing(self) -> None:
        self._paused = True

    def resumeProducing(self) -> None:
        self._paused = False

    def stopProducing(self) -> None:
        """The connection is gone; `notifyFinish` tells so, too."""


class Stream(Resource):
    """Begins with what ends from now on; with `?last=N` N exchanges earlier, with Last-Event-ID after that one."""

    isLeaf = True

    def __init__(self, reactor: Any, log: ExchangeLog, instance: str) -> None:
        super().__init__()
        self._reactor = reactor
        self._log = log
        self._instance = instance
        self._listeners: set[_Listener] = set()

    def render(self, request: Request) -> int | bytes:
        if request.method != b"GET":
            request.setResponseCode(405)
            request.setHeader(b"allow", b"GET")
            return b""
        if len(self._listeners) >= MAX_STREAMS:
            request.setResponseCode(503)
            request.setHeader(b"retry-after", b"10")
            return b"Too many are listening; try again later.\n"
        request.setHeader(b"content-type", b"text/event-stream")
        request.setHeader(b"cache-control", b"no-store")
        request.setHeader(b"x-accel-buffering", b"no")  # nginx would hold events back
        request.write(b"retry: 2000\n\n")
        self._listeners.add(_Listener(self._reactor, self._log, self._instance, request, self._begin(request),
                                      self._listeners.discard))
        return NOT_DONE_YET

    def _begin(self, request: Any) -> int:
        """After which exchange to begin."""
        instance, _, number = (request.getHeader(b"last-event-id") or b"").decode("latin-1").rpartition("-")
        if number.isascii() and number.isdigit() and len(number) < 18:
            if instance == self._instance:
                return min(int(number), self._log.last)
            return max(0, self._log.last - KEPT)  # of an earlier start: all that this one has to tell
        wanted = request.args.get(b"last", [b"0"])[0]
        return max(0, self._log.last - (int(wanted) if wanted.isdigit() and len(wanted) < 9 else 0))

    def stop(self) -> None:
        """Send everybody away."""
        for listener in list(self._listeners):
            listener.end()
