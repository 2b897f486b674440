"""Handles a scanner's answer: relays or collects its body, classifies its outcome, and reads it as a `Reply`.

RFC 9110 section 15. SOAP 1.2 part 2, table 20 sends faults with status 400 or 500; some devices send them with 200.
"""

from collections.abc import Callable

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IPushProducer, IReactorTime
from twisted.python.failure import Failure
from zope.interface import implementer

from wsdgateway.bridge.decisions import Forward, Reply
from wsdgateway.http.messages import Headers, charset_of, first, is_soap, media_type
from wsdgateway.http.responses import Head
from wsdgateway.metrics import FAULT, OK
from wsdgateway.net.scanners.replywatch import check_document
from wsdgateway.net.scanners.request import ABANDONED, Connection, ScannerRequest
from wsdgateway.net.transport.errors import DISCONNECTED, BadDevice, DeviceError, Unavailable
from wsdgateway.scan.operations import RETRIEVE_IMAGE
from wsdgateway.soap.envelope import read_leniently
from wsdgateway.soap.parsing import Malformed

MAX_COLLECTED = 4 * 1024 * 1024


class _Stall:
    """Ends a stalled relay: for `seconds`, the device has sent nothing, or the client has taken nothing.

    `pending` returns the number of bytes that the client has not taken yet; a decrease counts as progress.
    """

    def __init__(self, reactor: IReactorTime, seconds: float, pending: Callable[[], int],
                 stalled: Callable[[bool], None]) -> None:
        self._reactor = reactor
        self._seconds = seconds
        self._pending = pending
        self._stalled = stalled
        self._last_pending = 0
        self._timer = reactor.callLater(seconds, self._due)

    def _due(self) -> None:
        pending = self._pending()
        if 0 < pending < self._last_pending:
            self._last_pending = pending
            self._timer = self._reactor.callLater(self._seconds, self._due)
        else:
            self._stalled(pending > 0)

    def moved(self) -> None:
        """Notes that something was sent or taken."""
        if self._timer.active():
            self._timer.reset(self._seconds)

    def paused(self) -> None:
        """Notes that the client takes nothing at the moment; from now on `pending` has to decrease."""
        self.moved()
        self._last_pending = self._pending() + 1

    def stop(self) -> None:
        """Stops the timer."""
        if self._timer.active():
            self._timer.cancel()


@implementer(IPushProducer)
class Response:
    """An answer whose head has arrived. Exactly one of `collect` and `relay` takes its body::

        held ──collect, relay──► taken ──end──► ended
          │                        └───fail───► failed
          ├──end──► ended (held until it is taken)
          └──fail─► failed (reported when it is taken)

    Calls after the end or a failure have no effect.
    """

    def __init__(self, request: ScannerRequest, head: Head, connection: Connection, reactor: IReactorTime,
                 idle_timeout: float) -> None:
        self.request = request
        self.head = head
        self._connection = connection
        self._reactor = reactor
        self._idle_timeout = idle_timeout
        self._stall: _Stall | None = None
        self._take: Callable[[bytes], None] | None = None
        self._waiting: list[bytes] = []
        self._done: Deferred[None] = Deferred()
        self._error: DeviceError | None = None
        self.ended = False
        self.trailers: Headers = []  # complete when the body has ended

    @property
    def peer(self) -> str:
        """The device's host and port, for messages."""
        return f"{self.request.address.host}:{self.request.address.port}"

    async def collect(self) -> bytes:
        """Returns the whole body. Raises `DeviceError`, also for a body over `MAX_COLLECTED` bytes."""
        body = bytearray()  # not a list: chunks of two bytes would take twenty times their size

        def take(data: bytes) -> None:
            if len(body) + len(data) > MAX_COLLECTED:
                self.give_up(BadDevice(self.peer, f"its answer is larger than {MAX_COLLECTED} bytes"))
            else:
                body.extend(data)

        if self.ended:
            return self.whole()
        await self._start(take)
        self.request.lift_deadline()
        return bytes(body)

    def whole(self) -> bytes:
        """Returns the body of an answer that had `ended` before it was taken: it came with its head, in one read."""
        self.request.lift_deadline()
        return self._waiting[0] if len(self._waiting) == 1 else b"".join(self._waiting)

    async def relay(self, take: Callable[[bytes], None], pending: Callable[[], int]) -> None:
        """Passes each piece to `take` as it arrives; from now on only stalls are limited in time. Raises `DeviceError`.

        `pending` returns the number of bytes that the client has not taken yet.
        """
        self._connection.read_large()
        self.request.lift_deadline()
        self._stall = _Stall(self._reactor, self._idle_timeout, pending, self._stalled)
        try:
            await self._start(take)
        finally:
            self._stall.stop()

    def _start(self, take: Callable[[bytes], None]) -> Deferred[None]:
        self._take = take
        waiting, self._waiting = self._waiting, []
        for data in waiting:
            take(data)
        if self._error is not None and not self._done.called:
            self._done.errback(Failure(self._error))
        elif self.ended and not self._done.called:
            self._done.callback(None)
        return self._done

    def _stalled(self, by_client: bool) -> None:
        if by_client:
            self.request.state = ABANDONED
        why = "the client accepted no data" if by_client else "no data from the scanner"
        self.fail(Unavailable(self.peer, f"{why} for {self._idle_timeout:g} s"))
        self._connection.abort()

    # Called by the connection.

    def data(self, data: bytes) -> None:
        """Handles a piece of the body."""
        if self._take is None:
            self._waiting.append(data)
            return
        if self._stall is not None:
            self._stall.moved()
        if self._error is None:
            self._take(data)

    def end(self) -> None:
        """Handles the end of the body."""
        self.ended = True
        if self._take is not None and not self._done.called:
            self._done.callback(None)

    def fail(self, error: DeviceError) -> None:
        """Fails the body."""
        if self.ended or self._error is not None:
            return
        self._error = error
        self.request.lift_deadline()
        if self._take is not None and not self._done.called:
            self._done.errback(Failure(error))

    def give_up(self, error: DeviceError) -> None:
        """Stops reading the body, for that reason."""
        if not self.ended:
            self.fail(error)
            self._connection.abort()

    def call_later(self, seconds: float, function: Callable[[], None]) -> IDelayedCall:
        """Calls the function after this many seconds, unless the call is cancelled."""
        return self._reactor.callLater(seconds, function)

    # IPushProducer, for the client's transport.

    def pauseProducing(self) -> None:
        if self._stall is not None:
            self._stall.paused()
        if not self.ended:
            self._connection.pause()

    def resumeProducing(self) -> None:
        if self._stall is not None:
            self._stall.moved()
        if not self.ended:
            self._connection.resume()

    def stopProducing(self) -> None:
        """Closes the connection, because the rest is not wanted."""
        if not self.ended:
            self.request.state = ABANDONED
            self.fail(Unavailable(self.peer, DISCONNECTED))
            self._connection.abort()


def outcome_of(status: int, fault: str | None) -> str:
    """Returns the `outcome` label for an answer with that status and fault."""
    return OK if status < 400 and fault is None else FAULT


def is_streamed(response: Response, forward: Forward) -> bool:
    """True for an image, or unknown content that may be as large; False for answers that the gateway learns from."""
    if forward.learns:
        return False
    media = media_type(first(response.head.headers, b"content-type"))
    if response.request.operation is RETRIEVE_IMAGE:
        return not media.endswith((b"+xml", b"/xml")) and not media.startswith(b"text/")
    return media.startswith((b"multipart/", b"image/")) or media == b"application/octet-stream"


async def read_reply(response: Response) -> Reply:
    """Reads the whole answer. Raises `DeviceError`, also for one with a document type declaration.

    A SOAP answer that ends with its connection must be complete to count.
    """
    body = await response.collect()
    head = response.head
    content_type = first(head.headers, b"content-type") or b""
    check_document(response.peer, content_type, body)
    if not head.framed and is_soap(content_type):
        try:
            read_leniently(body, charset_of(content_type))
        except Malformed as error:
            raise BadDevice(response.peer, f"it closed the connection before the end of its answer: {error}") from None
    return Reply(head.status, content_type, body, head.reason, head.passed_on)
