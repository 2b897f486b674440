"""`/api/stream`: exchanges as they end, as server-sent events.

HTML, section 9.2. A client that is too slow, or that reconnects after a break, is told how many exchanges it has
missed.
"""

from collections.abc import Callable
from functools import partial
from itertools import islice
from typing import Any

from twisted.internet.interfaces import IDelayedCall, IPushProducer
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request
from zope.interface import implementer

from wsdgateway.admin.resources import argument, is_set
from wsdgateway.exchangelog.entry import Entry, write_entry
from wsdgateway.exchangelog.log import KEPT, ExchangeLog

MAX_STREAMS = 100
MAX_AT_ONCE = 500  # events for each client and poll, or fewer if they are larger than the following number of bytes
MAX_BYTES_AT_ONCE = 262144
LOOK_SECONDS = 0.25
BEAT_SECONDS = 15.0
STALLED_SECONDS = 30.0  # after which a client that does not read is disconnected


@implementer(IPushProducer)
class _Listener:
    """A client of the stream; `position` is the number of the last exchange sent to it."""

    def __init__(self, request: Any, position: int, may_listen: Callable[[], bool],
                 on_gone: Callable[["_Listener"], None]) -> None:
        self._request = request
        self.position = position
        self.may_listen = may_listen
        self.paused_for = 0.0
        self._paused = False
        self._quiet = 0.0
        request.notifyFinish().addErrback(lambda _: on_gone(self))
        request.registerProducer(self, True)

    def send(self, events: Callable[[int], tuple[bytes, int]]) -> None:
        """Send the exchanges since the last call."""
        if self._paused:
            self.paused_for += LOOK_SECONDS
            return
        text, self.position = events(self.position)
        self._quiet = 0.0 if text else self._quiet + LOOK_SECONDS
        if self._quiet >= BEAT_SECONDS:
            self._quiet = 0.0
            text = b": keepalive\n\n"  # to detect a broken connection
        if text:
            self._request.write(text)

    def end(self) -> None:
        """End the response."""
        if self._paused:
            self._request.channel.forceAbortClient()
        else:
            self._request.unregisterProducer()
            self._request.finish()

    def pauseProducing(self) -> None:
        self._paused = True

    def resumeProducing(self) -> None:
        self._paused = False
        self.paused_for = 0.0

    def stopProducing(self) -> None:
        """Do nothing: `notifyFinish` reports a closed connection."""


class Stream(Resource):
    """Streams exchanges, beginning with the next one.

    With `?last=N` it begins with the last N exchanges, or with the last N that match `scanner`, `operation` and
    `failed`; all that follow are sent. With Last-Event-ID it begins after that exchange. The log is polled once for all
    clients, so that a client costs nothing for each exchange. `may_listen` is called at each poll, since a token may be
    revoked.
    """

    isLeaf = True

    def __init__(self, reactor: Any, log: ExchangeLog, instance: str, may_listen: Callable[[Any], bool]) -> None:
        super().__init__()
        self._reactor = reactor
        self._log = log
        self._instance = instance
        self._may_listen = may_listen
        self._listeners: set[_Listener] = set()
        self._timer: IDelayedCall | None = None
        self._written: dict[int, tuple[bytes, int]] = {}
        self._stopped = False

    @property
    def listening(self) -> int:
        """The number of clients that follow the stream."""
        return len(self._listeners)

    def render(self, request: Request) -> int | bytes:
        if request.method != b"GET":
            request.setResponseCode(405)
            request.setHeader(b"allow", b"GET")
            return b""
        if len(self._listeners) >= MAX_STREAMS or self._stopped:
            request.setResponseCode(503)
            request.setHeader(b"retry-after", b"10")
            return b"Too many clients are using the stream; try again later.\n"
        request.setHeader(b"content-type", b"text/event-stream")
        request.setHeader(b"cache-control", b"no-store")
        request.setHeader(b"x-accel-buffering", b"no")  # nginx would hold events back
        request.write(b"retry: 2000\n\n")
        self._listeners.add(_Listener(request, self._begin(request), partial(self._may_listen, request),
                                      self._listeners.discard))
        if self._timer is None:
            self._look()
        return NOT_DONE_YET

    def _begin(self, request: Any) -> int:
        """The number of the exchange after which to begin."""
        instance, _, number = (request.getHeader(b"last-event-id") or b"").decode("latin-1").rpartition("-")
        if number.isascii() and number.isdigit() and len(number) < 18:
            if instance == self._instance:
                return min(int(number), self._log.last)
            return max(0, self._log.last - KEPT)  # the number is from an earlier start: send everything kept
        wanted = argument(request, "last")
        most = int(wanted) if wanted.isascii() and wanted.isdigit() and len(wanted) < 9 else 0
        matching = (one.number for one in reversed(self._log.since(0)) if self._matches(request, one.entry))
        return min(islice(matching, most), default=self._log.last + 1) - 1

    def _matches(self, request: Any, entry: Entry) -> bool:
        """True if an exchange is one of those that `last` counts."""
        return (argument(request, "scanner") in ("", entry.scanner)
                and argument(request, "operation") in ("", entry.operation)
                and (entry.failed or not is_set(argument(request, "failed"))))

    def _look(self) -> None:
        self._timer = self._reactor.callLater(LOOK_SECONDS, self._look) if self._listeners else None
        self._written.clear()
        for listener in list(self._listeners):
            if listener.paused_for >= STALLED_SECONDS or not listener.may_listen():
                self._listeners.discard(listener)
                listener.end()
            else:
                listener.send(self._since)

    def _since(self, position: int) -> tuple[bytes, int]:
        """The events after that exchange, and the number of the last one; written once for all clients."""
        events = self._written.get(position)
        if events is None:
            events = self._written[position] = self._write(position)
        return events

    def _write(self, position: int) -> tuple[bytes, int]:
        entries = self._log.since(position)[:MAX_AT_ONCE]
        if not entries:
            return b"", position
        written: list[str] = []
        size = 0
        if entries[0].number > position + 1:
            written.append(f'event: missed\ndata: {{"count":{entries[0].number - position - 1}}}\n\n')
        for one in entries:
            line = f'{{"number":{one.number},{write_entry(one.entry)[1:]}'
            written.append(f"id: {self._instance}-{one.number}\nevent: exchange\ndata: {line}\n\n")
            position = one.number
            size += len(written[-1])
            if size >= MAX_BYTES_AT_ONCE:
                break
        return "".join(written).encode(), position

    def stop(self) -> None:
        """End every stream."""
        self._stopped = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for listener in list(self._listeners):
            listener.end()
        self._listeners.clear()
